"""Wait until the user has looked at the investigation, and take over what the user changes."""

from __future__ import annotations

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from graphs.context import ExplainContext
from graphs.records import Answer
from graphs.state import ExplainState, StateUpdate
from graphs.steering.edits import resumed


def ask_user(state: ExplainState, runtime: Runtime[ExplainContext]) -> StateUpdate:
    """Note that the feature waits, so that everyone can see it; then wait, and apply the answer.

    Raises:
        EditRefused, RuleError: the answer's edits cannot be applied.
    """
    if state["status"] != "waiting":
        return {"status": "waiting"}
    answer = Answer.model_validate(interrupt(state["feature"]))
    if answer.verdict == "reject":
        return {"status": "rejected"}
    return resumed(state, answer.edits, runtime.context.limits)
