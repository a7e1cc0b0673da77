"""Where to go next: pure functions of the state and the limits."""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime

from graphs.context import ExplainContext, Limits
from graphs.state import ExplainState, open_hypotheses


def after_gathering(state: ExplainState) -> Literal["generate_hypotheses", "__end__"]:
    """A dead or too rare feature ends here, without an invented explanation."""
    return "generate_hypotheses" if state["status"] == "running" else "__end__"


def after_generating(state: ExplainState) -> Literal["design_experiments", "conclude"]:
    """Conclude at once where a budget allowed no hypothesis."""
    return "conclude" if state["stopped"] else "design_experiments"


def after_designing(state: ExplainState) -> Literal["run_experiments", "conclude"]:
    """Conclude from what was measured before where a budget allowed no further design."""
    fresh = len(state["experiments"]) > len(state["observations"])
    return "conclude" if state["stopped"] and not fresh else "run_experiments"


def after_refining(
    state: ExplainState, runtime: Runtime[ExplainContext]
) -> Literal["design_experiments", "review", "conclude"]:
    """Test what is open, within the budget; review when nothing is, so often as is allowed."""
    limits = runtime.context.limits
    if state["stopped"]:
        return "conclude"
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
    """Whether something is still open and a budget is used up."""
    if state["stopped"]:
        return True
    return bool(open_hypotheses(state)) and limits.used_up(state)
