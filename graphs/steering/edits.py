"""The user's edits, checked and applied to the state of an investigation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from graphs.context import Limits
from graphs.nodes.generate_hypotheses import number
from graphs.records import Edits, Experiment, Hypothesis, NewExperiment, Proposal
from graphs.routing import where_to_test
from graphs.state import ExplainState, StateUpdate, merge_by_id
from tools.activations import Tokenization
from tools.errors import EditRefused

BY_USER = "added by the user"

NO_EDITS = Edits()


class Changes(NamedTuple):
    """What edits make of an investigation."""

    hypotheses: list[Hypothesis]
    """Those that are new or changed."""
    experiments: list[Experiment]
    """The new ones; they belong to the round that comes next."""
    requests: tuple[str, ...]
    """Decided hypotheses to be judged anew."""

    def applied(self, state: ExplainState) -> ExplainState:
        """The state with the changes."""
        return {
            **state,
            "hypotheses": merge_by_id(state["hypotheses"], self.hypotheses),
            "experiments": merge_by_id(state["experiments"], self.experiments),
            "requests": self.requests,
        }


def edited(state: ExplainState, edits: Edits, limits: Limits) -> Changes:
    """What the edits change. New hypotheses, and those that a text is added to, are then open.

    Raises:
        EditRefused: an edit names what is not there, repeats a test, leaves nothing that says what
            fires, or adds what the budget has no room for.
        RuleError: a new hypothesis has a rule that cannot be executed.
    """
    _check_budget(state, edits, limits)
    known = state["hypotheses"]
    added = _added(known, edits, state["round"])
    dropped = [_drop(_named(id, known)) for id in dict.fromkeys(edits.drop)]
    reworded = [_set_aside(_named(r.hypothesis, known)) for r in edits.reword]
    changed = [*reworded, *dropped, *added]
    hypotheses = merge_by_id(known, changed)
    standing = [h for h in hypotheses if h.status != "dropped"]
    if dropped and not any(h.polarity == "active" for h in standing):
        raise EditRefused("nothing would be left that says what fires; add a hypothesis too.")
    experiments = _experiments(state, edits.experiments, hypotheses)
    requests = dict.fromkeys((*state["requests"], *(e.hypothesis for e in experiments)))
    gone = {h.id for h in (*dropped, *reworded)}
    return Changes(changed, experiments, tuple(id for id in requests if id not in gone))


def check_texts(edits: Edits, tokenization: Tokenization) -> None:
    """See that every new text can be measured, before it is stored.

    Raises:
        EditRefused: one is empty or does not fit the context.
    """
    for experiment in edits.experiments:
        n_tokens = len(tokenization.tokenize(experiment.text))
        if not 0 < n_tokens <= tokenization.window_size:
            raise EditRefused(
                f"the test of {experiment.hypothesis} has {n_tokens} tokens, and 1 to "
                f"{tokenization.window_size} fit the context: {experiment.text[:60]!r}"
            )


def resumed(state: ExplainState, edits: Edits, limits: Limits) -> StateUpdate:
    """What makes an investigation that waited or ended go on with the edits.

    Raises:
        EditRefused, RuleError: as `edited` does.
    """
    changes = edited(state, edits, limits)
    update: StateUpdate = {
        "status": "running",
        "hypotheses": changes.hypotheses,
        "experiments": changes.experiments,
        "requests": changes.requests,
    }
    after = changes.applied(state)
    if changes.experiments and where_to_test(after, limits) == "run_experiments":
        update["round"] = state["round"] + 1
    return update


def _named(id: str, hypotheses: Sequence[Hypothesis]) -> Hypothesis:
    for hypothesis in hypotheses:
        if hypothesis.id == id:
            if hypothesis.status == "dropped":
                raise EditRefused(f"{id} was dropped; add it anew to have it tested.")
            return hypothesis
    known = ", ".join(h.id for h in hypotheses if h.status != "dropped") or "none yet"
    raise EditRefused(f"there is no hypothesis {id} at this checkpoint; there are: {known}.")


def _added(known: Sequence[Hypothesis], edits: Edits, round: int) -> list[Hypothesis]:
    parents: list[str | None] = [None] * len(edits.add)
    parents += [rewording.hypothesis for rewording in edits.reword]
    proposals: list[Proposal] = [*edits.add, *(r.proposal for r in edits.reword)]
    for proposal in proposals:
        if not proposal.statement.strip():
            raise EditRefused("a hypothesis needs words; give a sentence.")
    new = number(proposals, first=len(known) + 1, round=round)
    noted = (h.model_copy(update={"note": h.note or BY_USER}) for h in new)
    return [h.model_copy(update={"parent": p}) for h, p in zip(noted, parents, strict=True)]


def _drop(hypothesis: Hypothesis) -> Hypothesis:
    was = f"dropped by the user; it was {hypothesis.status}"
    reason = f"{was}: {hypothesis.reason}" if hypothesis.reason else was
    return hypothesis.model_copy(update={"status": "dropped", "reason": reason})


def _set_aside(hypothesis: Hypothesis) -> Hypothesis:
    reason = f"{hypothesis.reason}; reworded by the user".removeprefix("; ")
    return hypothesis.model_copy(update={"status": "refined", "reason": reason})


def _experiments(
    state: ExplainState, new: Sequence[NewExperiment], hypotheses: Sequence[Hypothesis]
) -> list[Experiment]:
    """The new texts as experiments of the next round, each a design of its own."""
    designs = len({experiment.design for experiment in state["experiments"]})
    seen = {(e.hypothesis, e.text) for e in state["experiments"]}
    experiments: list[Experiment] = []
    for n, each in enumerate(new, designs + 1):
        hypothesis = _named(each.hypothesis, hypotheses)
        if (hypothesis.id, each.text) in seen:
            raise EditRefused(f"{hypothesis.id} has this test already: {each.text[:60]!r}")
        seen.add((hypothesis.id, each.text))
        experiments.append(
            Experiment(
                id=f"E{n}.1",
                design=f"E{n}",
                hypothesis=hypothesis.id,
                kind="positive" if each.predicted == "active" else "negative_control",
                text=each.text,
                predicted=each.predicted,
                purpose=BY_USER,
                round=state["round"] + 1,
            )
        )
    return experiments


def _check_budget(state: ExplainState, edits: Edits, limits: Limits) -> None:
    """Refuse what could not be tested: a new hypothesis would be closed without a test."""
    room = limits.experiments - len(state["experiments"]) - len(edits.experiments)
    if edits.experiments and room < 0:
        raise EditRefused(
            f"the budget of {limits.experiments} experiments has no room for these tests; "
            "raise it, as in fork --set budget.experiments=300."
        )
    if (edits.add or edits.reword) and state["stopped"]:
        raise EditRefused(
            f"the investigation was stopped ({state['stopped']}), so that a new hypothesis could "
            "not be tested; approve it, then fork it with --set of a larger budget."
        )
    if (edits.add or edits.reword) and (limits.used_up(state) or room <= 0):
        raise EditRefused(
            f"the budget of {limits.rounds} rounds and {limits.experiments} experiments is used "
            "up, so that a new hypothesis could not be tested; raise it, as in "
            "fork --set budget.rounds=20."
        )
