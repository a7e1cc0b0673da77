"""Ask the policy to reword what the evidence left ambiguous."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from langgraph.runtime import Runtime

from graphs.context import ExplainContext, case_of
from graphs.nodes.generate_hypotheses import number
from graphs.records import Hypothesis, Refinement, Setback
from graphs.state import ExplainState, StateUpdate
from tools.errors import BudgetSpent, PolicyError


def refine_hypotheses(state: ExplainState, runtime: Runtime[ExplainContext]) -> StateUpdate:
    """Add the policy's children; a hypothesis to be refined that gets none closes as undecided.

    Nothing is reworded once a budget has stopped the investigation: it could not be tested.

    Raises:
        PolicyError: a refinement names a parent that does not exist.
    """
    if state["stopped"]:
        return {}
    due = _due(state["hypotheses"])
    case = case_of(state, runtime.context.limits).with_open(tuple(h.id for h in due))
    policy = runtime.context.policies.refine_hypotheses
    try:
        answers = policy.refine_hypotheses(runtime.context.dossier(state["feature"]), case)
    except BudgetSpent as error:
        return {"stopped": str(error)}
    refinements = [answer for answer in answers if isinstance(answer, Refinement)]
    reasons = {a.hypothesis: a.reason for a in answers if isinstance(a, Setback)}
    _check(refinements, state["hypotheses"])
    children = [
        child.model_copy(update={"parent": refinement.parent})
        for child, refinement in zip(
            number(
                [refinement.proposal for refinement in refinements],
                first=len(state["hypotheses"]) + 1,
                round=state["round"],
            ),
            refinements,
            strict=True,
        )
    ]
    parents = {child.parent for child in children}
    return {
        "hypotheses": [*(_give_up(h, reasons) for h in due if h.id not in parents), *children],
        "requests": (),
    }


def _due(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    parents = {h.parent for h in hypotheses}
    return [h for h in hypotheses if h.status == "refined" and h.id not in parents]


def _check(refinements: Sequence[Refinement], hypotheses: Sequence[Hypothesis]) -> None:
    known = {h.id for h in hypotheses}
    for refinement in refinements:
        if refinement.parent is not None and refinement.parent not in known:
            raise PolicyError(
                f"refine_hypotheses refines {refinement.parent}, which does not exist; "
                f"known: {', '.join(sorted(known))}."
            )


def _give_up(hypothesis: Hypothesis, reasons: Mapping[str, str]) -> Hypothesis:
    why = reasons.get(hypothesis.id, "no better wording was found")
    reason = f"{hypothesis.reason}; {why}"
    return hypothesis.model_copy(update={"status": "undecided", "reason": reason})
