"""The seam of the baselines: explanations made without any experiment, to compare others with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from evaluation.candidate import Candidate
from evaluation.held_out import FeatureText
from graphs.policies.protocols import Dossier
from graphs.records import Proposal
from tools.exemplars import Exemplar
from tools.llm.costs import NOTHING_SPENT, Spent
from tools.llm.language_model import LanguageModel
from tools.rules import Rule, rule_from_json

NEVER_FIRES = "the feature never fires in the propose split"


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """What a baseline may know of one feature: nothing of the evaluate split is on it."""

    feature: int
    seed: int
    """The run's seed."""
    dossier: Dossier
    """What the run's own policies were shown."""
    proposed: FeatureText
    """The whole propose split as the feature fires on it."""
    scale: float
    """Mean of the top-10 window maxima of the propose split, in the SAE's units; 0 if the feature
    never fires there."""
    agentic: Mapping[int, Candidate]
    """The explanation of every feature of the run."""
    hypotheses: Sequence[Mapping[str, Any]]
    """The run's hypotheses of this feature, as `graphs.findings.Findings.hypotheses` gives them."""
    proposing: Spent
    """What proposing the first of them took, as `evaluation.agentic.proposing_spent` gives it."""
    policy: str
    """Name or import path of the policy that proposed them."""
    model: LanguageModel | None
    """The language model of the evaluation; None where the run has none."""

    @property
    def top(self) -> list[Exemplar]:
        """The `top` exemplars of the propose split, strongest first; all of them fire."""
        return [exemplar for exemplar in self.dossier.exemplars if exemplar.band == "top"]


class Baseline(Protocol):
    """A way of explaining features that makes no experiment. Safe to share between threads."""

    @property
    def name(self) -> str:
        """Who is said to have made the explanations."""
        ...

    def asks(self, policy: str) -> bool:
        """Whether it asks a language model in a run whose hypotheses that policy proposed."""
        ...

    def recipe(self, agentic: Mapping[int, Candidate]) -> str:
        """What its explanations hang on beside the corpus, the run and the language model.

        Scores of explanations that were made by another recipe are stale.

        Args:
            agentic: the explanation of every feature of the run.
        """
        ...

    def explain(self, desk: Desk) -> Candidate:
        """The explanation of one feature, or why there is none.

        Raises:
            LanguageModelUnusable: a language model is needed, and none can be asked.
        """
        ...


def by_rule(
    explainer: str, feature: int, proposal: Proposal, spent: Spent = NOTHING_SPENT
) -> Candidate:
    """The candidate that a worded rule makes, or mere words.

    Raises:
        RuleError: the rule cannot be executed.
    """
    rule: Rule | None = None if proposal.rule is None else rule_from_json(proposal.rule)
    return Candidate(
        explainer=explainer,
        feature=feature,
        description=proposal.statement,
        predictor=rule,
        content={"rule": proposal.rule} | ({"note": proposal.note} if proposal.note else {}),
        spent=spent,
    )


def missing(explainer: str, feature: int, reason: str, spent: Spent = NOTHING_SPENT) -> Candidate:
    """The candidate in the place of an explanation that there is not."""
    return Candidate(
        explainer=explainer,
        feature=feature,
        description=None,
        predictor=None,
        content={},
        missing=reason,
        spent=spent,
    )
