"""Ask whether the evidence is enough, at most 3 times."""

from __future__ import annotations

from langgraph.runtime import Runtime

from graphs.context import ExplainContext, case_of
from graphs.state import ExplainState, StateUpdate
from tools.errors import BudgetSpent, PolicyError


def review(state: ExplainState, runtime: Runtime[ExplainContext]) -> StateUpdate:
    """Take the policy's requests for more tests; none means conclude.

    What the user dropped is not tested again.

    Raises:
        PolicyError: the review asks about a hypothesis that does not exist.
    """
    policy = runtime.context.policies.refine_hypotheses
    case = case_of(state, runtime.context.limits)
    try:
        answer = policy.review(runtime.context.dossier(state["feature"]), case)
    except BudgetSpent as error:
        return {"stopped": str(error)}
    strangers = set(answer.requests) - {h.id for h in state["hypotheses"]}
    if strangers:
        raise PolicyError(f"review asks about unknown hypotheses: {', '.join(sorted(strangers))}.")
    dropped = {h.id for h in state["hypotheses"] if h.status == "dropped"}
    requests = tuple(id for id in answer.requests if id not in dropped)
    return {"reviews": state["reviews"] + 1, "requests": requests}
