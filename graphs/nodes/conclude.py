"""Close what is open and have the best-supported explanation worded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from langgraph.runtime import Runtime

from graphs.citations import cited_observations
from graphs.context import ExplainContext, case_of
from graphs.policies.protocols import Thresholds
from graphs.policies.symbolic.conclusion import conclude as best_supported
from graphs.records import Conclusion, Explanation, FeatureStatus, Hypothesis, Observation
from graphs.routing import out_of_budget
from graphs.state import ExplainState, StateUpdate, merge_by_id, open_hypotheses
from graphs.verdicts import confidence, predictions_of, tally
from tools.errors import BudgetSpent, EvidenceError, MalformedReply
from tools.rules import rule_from_json


def conclude(state: ExplainState, runtime: Runtime[ExplainContext]) -> StateUpdate:
    """Word the explanation and compute its confidence.

    Raises:
        EvidenceError: nothing is claimed though a hypothesis was confirmed, or a claim cites no
            observation, one that does not exist, or one that came out otherwise than it says.
        RuleError: the rule cannot be executed.
    """
    context = runtime.context
    closed = [_close(h) for h in open_hypotheses(state)]
    hypotheses = merge_by_id(state["hypotheses"], closed)
    final: ExplainState = {**state, "hypotheses": hypotheses, "requests": ()}
    if not hypotheses:
        return {"status": "budget"}
    conclusion, stopped, remark = _word(final, context)
    if conclusion.rule is not None:
        rule_from_json(conclusion.rule)
    cited = cited_observations(conclusion, state["observations"])
    cut_short = bool(stopped) or out_of_budget(state, context.limits)
    status = _status(hypotheses, stopped=cut_short)
    if status == "explained" and not cited:
        raise EvidenceError("conclude claims nothing, though a hypothesis was confirmed.")
    return {
        "hypotheses": closed,
        "requests": (),
        "explanation": _explanation(conclusion, cited, final, context.thresholds, remark),
        "status": status,
        "stopped": stopped,
    }


class Wording(NamedTuple):
    """A conclusion, and what kept the policy from wording it."""

    conclusion: Conclusion
    stopped: str
    """Which budget ended the investigation; empty for none."""
    remark: str = ""
    """Why the measurements were left to speak for themselves."""


def _word(state: ExplainState, context: ExplainContext) -> Wording:
    """Ask the policy; where it gets no words, let the measurements speak for themselves."""
    dossier, case = context.dossier(state["feature"]), case_of(state, context.limits)
    try:
        return Wording(context.policies.conclude.conclude(dossier, case), state["stopped"])
    except BudgetSpent as error:
        return Wording(best_supported(dossier, case), state["stopped"] or str(error))
    except MalformedReply as error:
        remark = f"worded from the measurements: {error}"
        return Wording(best_supported(dossier, case), state["stopped"], remark)


def _close(hypothesis: Hypothesis) -> Hypothesis:
    if hypothesis.status != "pending":
        return hypothesis
    reason = f"{hypothesis.reason}; the budget ran out".removeprefix("; ")
    return hypothesis.model_copy(update={"status": "undecided", "reason": reason})


def _explanation(
    conclusion: Conclusion,
    cited: Sequence[Observation],
    state: ExplainState,
    thresholds: Thresholds,
    remark: str,
) -> Explanation:
    relied_on = _relied_on(cited, state["hypotheses"])
    counts = tally(
        (o for o in state["observations"] if o.hypothesis in relied_on),
        predictions_of(state["experiments"]),
        thresholds,
    )
    value, basis = confidence(counts)
    basis = f"{basis}; {remark}".removesuffix("; ")
    return Explanation(**dict(conclusion), confidence=value, confidence_basis=basis)


def _relied_on(cited: Sequence[Observation], hypotheses: Sequence[Hypothesis]) -> set[str]:
    """The hypotheses whose results the confidence is about, all of them and not only those cited.

    Those that say what does not fire would lend the explanation a certainty that is not its own,
    and a refuted rival, cited for what it showed against itself, would take some away.
    """
    ids = {observation.hypothesis for observation in cited}
    firing = [h for h in hypotheses if h.id in ids and h.polarity == "active"]
    standing = {h.id for h in firing if h.status != "refuted"}
    return standing or {h.id for h in firing}


def _status(hypotheses: Sequence[Hypothesis], *, stopped: bool) -> FeatureStatus:
    if stopped:
        return "budget"
    confirmed = any(h.status == "confirmed" and h.polarity == "active" for h in hypotheses)
    return "explained" if confirmed else "undecided"
