"""Compute verdicts from the measurements; ask the policy what they mean."""

from __future__ import annotations

from langgraph.runtime import Runtime

from graphs.context import ExplainContext, case_of
from graphs.records import Hypothesis
from graphs.state import ExplainState, StateUpdate, merge_by_id, open_hypotheses
from graphs.verdicts import judge
from tools.errors import BudgetSpent


def analyze_evidence(state: ExplainState, runtime: Runtime[ExplainContext]) -> StateUpdate:
    """Judge every open hypothesis by all of its observations, then have them put in words."""
    context = runtime.context
    judged = [
        judge(h, state["experiments"], state["observations"], context.thresholds)
        for h in open_hypotheses(state)
    ]
    judged_state: ExplainState = {
        **state,
        "hypotheses": merge_by_id(state["hypotheses"], judged),
    }
    case = case_of(judged_state, context.limits)
    try:
        words = context.policies.analyze_evidence.analyze_evidence(
            context.dossier(state["feature"]),
            # Open for the policy: those just judged, whatever they were judged to be.
            case.with_open(tuple(h.id for h in judged)),
        )
    except BudgetSpent as error:
        # Verdicts need no words.
        return {"hypotheses": judged, "stopped": str(error)}
    texts = {word.hypothesis: word.text for word in words}
    return {"hypotheses": [_interpret(h, texts) for h in judged]}


def _interpret(hypothesis: Hypothesis, texts: dict[str, str]) -> Hypothesis:
    text = texts.get(hypothesis.id, hypothesis.interpretation)
    return hypothesis.model_copy(update={"interpretation": text})
