"""Ask the policy for texts that tell the open hypotheses apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from langgraph.runtime import Runtime

from graphs.context import ExplainContext, case_of
from graphs.records import Design, Experiment, Hypothesis, Setback
from graphs.state import ExplainState, StateUpdate, open_hypotheses, unmeasured
from tools.activations import Tokenization
from tools.errors import BudgetSpent, PolicyError


def design_experiments(state: ExplainState, runtime: Runtime[ExplainContext]) -> StateUpdate:
    """Number the policy's designs as this round's experiments.

    A text that the same hypothesis was tested with before is dropped, and one that was measured
    before the hypothesis was worded: it would be confirmed by what it was fitted to. A hypothesis
    for which nothing new is left keeps the status that its results gave, or closes as undecided,
    unless it is the budget that cut it short.

    Raises:
        PolicyError: a design is for a hypothesis that is not open, or has a text that cannot be
            measured.
    """
    known = state["experiments"]
    room = runtime.context.limits.experiments - len(known)
    policy = runtime.context.policies.design_experiments
    dossier = runtime.context.dossier(state["feature"])
    try:
        answers = policy.design_experiments(dossier, case_of(state, runtime.context.limits), room)
    except BudgetSpent as error:
        return {"stopped": str(error)}
    designs = [answer for answer in answers if isinstance(answer, Design)]
    setbacks = [answer for answer in answers if isinstance(answer, Setback)]
    still_open = open_hypotheses(state)
    _check(designs, still_open)
    round = state["round"] + 1
    experiments = _number(designs, known, _stale_texts(still_open, known), round)[:room]
    to_be_run = (*unmeasured(state), *experiments)
    untested = {h.id for h in still_open} - {e.hypothesis for e in to_be_run}
    for experiment in experiments:
        _check_text(experiment, runtime.context.subject)
    if len(experiments) == room:
        untested = set[str]()
    reasons = {setback.hypothesis: setback.reason for setback in setbacks}
    return {
        "round": round,
        "experiments": experiments,
        "hypotheses": [_close(h, reasons) for h in still_open if h.id in untested],
        "requests": tuple(id for id in state["requests"] if id not in untested),
        "stopped": next((s.reason for s in setbacks if s.spent), state["stopped"]),
    }


def _check(designs: Sequence[Design], still_open: Sequence[Hypothesis]) -> None:
    strangers = {d.hypothesis for d in designs} - {h.id for h in still_open}
    if strangers:
        raise PolicyError(
            f"design_experiments gave experiments for {', '.join(sorted(strangers))}, which "
            f"{'is' if len(strangers) == 1 else 'are'} not open; open: "
            f"{', '.join(h.id for h in still_open)}."
        )


def _check_text(experiment: Experiment, tokenization: Tokenization) -> None:
    """Refuse a text before it is stored: afterwards, every try to resume would fail on it."""
    n_tokens = len(tokenization.tokenize(experiment.text))
    if not 0 < n_tokens <= tokenization.window_size:
        raise PolicyError(
            f"design_experiments gave a text of {n_tokens} tokens for {experiment.hypothesis}; "
            f"1 to {tokenization.window_size} fit the context: {experiment.text[:60]!r}"
        )


def _stale_texts(
    still_open: Sequence[Hypothesis], known: Sequence[Experiment]
) -> set[tuple[str, str]]:
    """Hypotheses with the texts that cannot test them any more."""
    own = {(experiment.hypothesis, experiment.text) for experiment in known}
    older = {(h.id, e.text) for h in still_open for e in known if e.round <= h.round}
    return own | older


def _number(
    designs: Sequence[Design],
    known: Sequence[Experiment],
    seen: set[tuple[str, str]],
    round: int,
) -> list[Experiment]:
    seen = set(seen)
    count = len({experiment.design for experiment in known})
    numbered: list[Experiment] = []
    for design in designs:
        fresh = [t for t in design.trials if (design.hypothesis, t.text) not in seen]
        # A design may hold one text twice: the dict keeps the first of each.
        trials = {trial.text: trial for trial in reversed(fresh)}
        if not trials:
            continue
        count += 1
        seen.update((design.hypothesis, text) for text in trials)
        numbered.extend(
            Experiment(
                id=f"E{count}.{n}",
                design=f"E{count}",
                hypothesis=design.hypothesis,
                kind=design.kind,
                text=trial.text,
                predicted=trial.predicted,
                purpose=design.purpose,
                round=round,
            )
            for n, trial in enumerate(reversed(trials.values()), 1)
        )
    return numbered


def _close(hypothesis: Hypothesis, reasons: Mapping[str, str]) -> Hypothesis:
    if hypothesis.status != "pending":
        return hypothesis
    why = reasons.get(hypothesis.id, "no further test was proposed")
    reason = f"{hypothesis.reason}; {why}".removeprefix("; ")
    return hypothesis.model_copy(update={"status": "undecided", "reason": reason})
