"""Where to go next: pure functions of the state and the limits."""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime

from graphs.context import ExplainContext, Limits
from graphs.state import ExplainState, open_hypotheses


def after_gathering(state: ExplainState) -> Literal["generate_hypotheses", "__end__"]:
    """A dead or too rare feature ends here, without an invented explanation."""
    return "generate_hypotheses" if state["status"] == "running" else "__end__"


def after_refining(
    state: ExplainState, runtime: Runtime[ExplainContext]
) -> Literal["design_experiments", "review", "conclude"]:
    """Test what is open, within the budget; review when nothing is, so often as is allowed."""
    limits = runtime.context.limits
    if not open_hypotheses(state):
        return "review" if state["reviews"] < limits.reviews else "conclude"
    return "conclude" if out_of_budget(state, limits) else "design_experiments"


def after_review(
    state: ExplainState, runtime: Runtime[ExplainContext]
) -> Literal["design_experiments", "conclude"]:
    """More tests if the review asked for them and the budget allows."""
    if not state["requests"] or out_of_budget(state, runtime.context.limits):
        return "conclude"
    return "design_experiments"


def out_of_budget(state: ExplainState, limits: Limits) -> bool:
    """Whether something is still open and rounds, experiments or minutes are used up."""
    if not open_hypotheses(state):
        return False
    spent = state["round"] >= limits.rounds or len(state["experiments"]) >= limits.experiments
    return spent or (limits.minutes is not None and state["seconds"] >= 60 * limits.minutes)
