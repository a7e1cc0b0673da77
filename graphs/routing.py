"""Where to go next: pure functions of the state and the limits."""

from __future__ import annotations

from typing import Literal

from langgraph.runtime import Runtime

from graphs.context import ExplainContext, Limits
from graphs.state import ExplainState, open_hypotheses, unmeasured


def after_gathering(state: ExplainState) -> Literal["generate_hypotheses", "__end__"]:
    """A dead or too rare feature ends here, without an invented explanation."""
    return "generate_hypotheses" if state["status"] == "running" else "__end__"


def after_generating(
    state: ExplainState, runtime: Runtime[ExplainContext]
) -> Literal["design_experiments", "ask_user", "conclude"]:
    """Conclude at once where a budget allowed no hypothesis."""
    if state["stopped"]:
        return _end(runtime.context)
    return "ask_user" if "after-hypotheses" in runtime.context.review else "design_experiments"


def after_designing(
    state: ExplainState, runtime: Runtime[ExplainContext]
) -> Literal["run_experiments", "ask_user", "conclude"]:
    """Conclude from what was measured before where a budget allowed no further design."""
    if state["stopped"] and not unmeasured(state):
        return _end(runtime.context)
    return "run_experiments"


def after_refining(
    state: ExplainState, runtime: Runtime[ExplainContext]
) -> Literal["design_experiments", "review", "ask_user", "conclude"]:
    """Test what is open, within the budget; review when nothing is, so often as is allowed."""
    limits = runtime.context.limits
    if state["stopped"]:
        return _end(runtime.context)
    if not open_hypotheses(state):
        return "review" if state["reviews"] < limits.reviews else _end(runtime.context)
    return _end(runtime.context) if out_of_budget(state, limits) else "design_experiments"


def after_review(
    state: ExplainState, runtime: Runtime[ExplainContext]
) -> Literal["design_experiments", "ask_user", "conclude"]:
    """More tests if the review asked for them and the budget allows."""
    if not state["requests"] or out_of_budget(state, runtime.context.limits):
        return _end(runtime.context)
    return "design_experiments"


def after_asking(
    state: ExplainState, runtime: Runtime[ExplainContext]
) -> Literal["ask_user", "design_experiments", "run_experiments", "conclude", "__end__"]:
    """Test what the user added or left open; conclude what the user approved."""
    if state["status"] == "waiting":
        return "ask_user"
    if state["status"] == "rejected":
        return "__end__"
    return where_to_test(state, runtime.context.limits)


def where_to_test(
    state: ExplainState, limits: Limits
) -> Literal["design_experiments", "run_experiments", "conclude"]:
    """Design tests for what is open and has none to be run, run what was not, or conclude."""
    waiting = unmeasured(state)
    covered = {experiment.hypothesis for experiment in waiting}
    bare = [h for h in open_hypotheses(state) if h.id not in covered]
    if bare and not out_of_budget(state, limits):
        return "design_experiments"
    return "run_experiments" if waiting else "conclude"


def _end(context: ExplainContext) -> Literal["ask_user", "conclude"]:
    return "ask_user" if "before-conclusion" in context.review else "conclude"


def out_of_budget(state: ExplainState, limits: Limits) -> bool:
    """Whether something is still open and a budget is used up."""
    if state["stopped"]:
        return True
    return bool(open_hypotheses(state)) and limits.used_up(state)
