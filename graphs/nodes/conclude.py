"""Close what is open and have the best-supported explanation worded."""

from __future__ import annotations

from collections.abc import Sequence

from langgraph.runtime import Runtime

from graphs.context import ExplainContext, case_of
from graphs.policies.protocols import Thresholds
from graphs.records import Conclusion, Explanation, FeatureStatus, Hypothesis, Observation
from graphs.routing import out_of_budget
from graphs.state import ExplainState, StateUpdate, merge_by_id, open_hypotheses
from graphs.verdicts import confidence, predictions_of, tally
from tools.errors import EvidenceError
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
    conclusion = context.policies.conclude.conclude(
        context.dossier(state["feature"]), case_of(final)
    )
    if conclusion.rule is not None:
        rule_from_json(conclusion.rule)
    cited = _cited(conclusion, state["observations"])
    status = _status(hypotheses, stopped=out_of_budget(state, context.limits))
    if status == "explained" and not cited:
        raise EvidenceError("conclude claims nothing, though a hypothesis was confirmed.")
    return {
        "hypotheses": closed,
        "requests": (),
        "explanation": _explanation(conclusion, cited, final, context.thresholds),
        "status": status,
    }


def _close(hypothesis: Hypothesis) -> Hypothesis:
    if hypothesis.status != "pending":
        return hypothesis
    reason = f"{hypothesis.reason}; the budget ran out".removeprefix("; ")
    return hypothesis.model_copy(update={"status": "undecided", "reason": reason})


def _cited(conclusion: Conclusion, observations: Sequence[Observation]) -> list[Observation]:
    known = {observation.id: observation for observation in observations}
    for claim in conclusion.claims:
        missing = [id for id in claim.observations if id not in known]
        if missing or not claim.observations:
            cited = ", ".join(missing) or "none at all"
            raise EvidenceError(
                f"conclude cites observations that do not exist: {cited} (claim: {claim.text!r})."
            )
        against = [id for id in claim.observations if known[id].outcome != claim.shows]
        if against:
            raise EvidenceError(
                f"conclude claims {claim.text!r}, to be shown by {claim.shows} texts, and cites "
                f"observations that came out otherwise: {', '.join(against)}."
            )
    return [known[id] for claim in conclusion.claims for id in claim.observations]


def _explanation(
    conclusion: Conclusion,
    cited: Sequence[Observation],
    state: ExplainState,
    thresholds: Thresholds,
) -> Explanation:
    # All results of the hypotheses that say what fires, not only those that a policy chose to cite;
    # those that say what does not would lend the explanation a certainty that is not its own.
    firing = {h.id for h in state["hypotheses"] if h.polarity == "active"}
    relied_on = {observation.hypothesis for observation in cited} & firing
    counts = tally(
        (o for o in state["observations"] if o.hypothesis in relied_on),
        predictions_of(state["experiments"]),
        thresholds,
    )
    value, basis = confidence(counts)
    return Explanation(**dict(conclusion), confidence=value, confidence_basis=basis)


def _status(hypotheses: Sequence[Hypothesis], *, stopped: bool) -> FeatureStatus:
    if stopped:
        return "budget"
    confirmed = any(h.status == "confirmed" and h.polarity == "active" for h in hypotheses)
    return "explained" if confirmed else "undecided"
