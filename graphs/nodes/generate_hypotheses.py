"""Ask the policy for rival hypotheses, from the propose split alone."""

from __future__ import annotations

from collections.abc import Sequence

from langgraph.runtime import Runtime

from graphs.context import ExplainContext
from graphs.policies.protocols import MIN_RIVALS
from graphs.records import Hypothesis, Proposal
from graphs.state import ExplainState, StateUpdate
from tools.errors import BudgetSpent, PolicyError
from tools.rules import rule_from_json


def generate_hypotheses(state: ExplainState, runtime: Runtime[ExplainContext]) -> StateUpdate:
    """Number the policy's proposals.

    Raises:
        PolicyError: fewer than 4 proposals, none that says what fires, or none that says what
            must not.
    """
    policy = runtime.context.policies.generate_hypotheses
    try:
        proposals = policy.generate_hypotheses(runtime.context.dossier(state["feature"]))
    except BudgetSpent as error:
        return {"stopped": str(error)}
    _check(proposals)
    return {"hypotheses": number(proposals, first=len(state["hypotheses"]) + 1, round=0)}


def number(proposals: Sequence[Proposal], *, first: int, round: int) -> list[Hypothesis]:
    """Hypotheses `H<first>`, `H<first + 1>`, ... in the order given.

    Raises:
        RuleError: a proposal's rule cannot be executed.
    """
    for proposal in proposals:
        if proposal.rule is not None:
            rule_from_json(proposal.rule)
    return [
        Hypothesis(id=f"H{n}", round=round, **dict(proposal))
        for n, proposal in enumerate(proposals, first)
    ]


def _check(proposals: Sequence[Proposal]) -> None:
    if len(proposals) < MIN_RIVALS:
        raise PolicyError(
            f"generate_hypotheses gave {len(proposals)} hypotheses; at least {MIN_RIVALS} rivals "
            "are needed to tell explanations apart."
        )
    if {proposal.polarity for proposal in proposals} != {"active", "inactive"}:
        raise PolicyError(
            "generate_hypotheses gave hypotheses of one polarity only: some must say what fires, "
            "and one what does NOT fire."
        )
