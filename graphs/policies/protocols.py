"""The seam of the deciding nodes: one Protocol per role, and what a policy is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from graphs.records import (
    Conclusion,
    Design,
    Experiment,
    Hypothesis,
    Interpretation,
    Observation,
    Proposal,
    Refinement,
    Review,
    Setback,
)
from tools.activations import Tokenization
from tools.census import Census
from tools.exemplars import Exemplar, FeatureStatistics, TokenStatistic
from tools.llm.language_model import LanguageModel

MIN_RIVALS = 4
"""Fewest hypotheses to begin with: with fewer, explanations cannot be told apart."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Normalized maxima that count as active, inactive and strong."""

    active: float = 0.5
    """At or above: active."""
    inactive: float = 0.1
    """At or below: inactive; between the two: inconclusive."""
    strong: float = 0.8
    """At or above: a strong positive, which one negative control suffices to confirm."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """What a policy may know of a feature. The evaluate split is out of its reach."""

    feature: int
    seed: int
    """Seed of this feature: equal whatever the order or concurrency of a run."""
    statistics: FeatureStatistics
    exemplars: Sequence[Exemplar]
    """The propose split: what hypotheses are induced from."""
    token_table: Sequence[TokenStatistic]
    """Tokens that carry the feature's activation on the propose split."""
    census: Census
    """Where the feature fires, and where it does not, in text of the propose split."""
    contexts: Sequence[Exemplar]
    """The test split: real contexts for experiments to borrow and edit."""
    tokenization: Tokenization
    """How the subject reads text; measuring is the run_experiments node's part alone."""
    thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class Case:
    """How far the investigation has come."""

    round: int
    reviews: int
    hypotheses: Sequence[Hypothesis]
    experiments: Sequence[Experiment]
    observations: Sequence[Observation]
    open: Sequence[str]
    """Ids of the hypotheses to be tested or refined now."""
    final: bool
    """Whether the budget allows no further round: what is worded now will not be tested."""

    def hypothesis(self, id: str) -> Hypothesis:
        """The hypothesis of that id."""
        return next(h for h in self.hypotheses if h.id == id)

    def with_open(self, ids: Sequence[str]) -> Case:
        """The same case with other hypotheses in question."""
        return replace(self, open=ids)


class RunServices(Protocol):
    """What a run lends to the policies that it makes."""

    def language_model(self) -> LanguageModel:
        """The run's language model; made at the first call.

        Raises:
            ConfigError: the configuration has no `llm` section, or the key is not set.
        """
        ...


@runtime_checkable
class MadeForRun(Protocol):
    """A policy class that needs something of the run."""

    def for_run(self, services: RunServices) -> Any:
        """A classmethod: the policy object."""
        ...


@runtime_checkable
class HypothesisGenerator(Protocol):
    """Role `generate_hypotheses`."""

    def generate_hypotheses(self, dossier: Dossier) -> Sequence[Proposal]:
        """At least 4 rivals, at least one of polarity `inactive`."""
        ...


@runtime_checkable
class ExperimentDesigner(Protocol):
    """Role `design_experiments`."""

    def design_experiments(
        self, dossier: Dossier, case: Case, room: int
    ) -> Sequence[Design | Setback]:
        """Experiments for the open hypotheses, at most `room` texts in all.

        A text that was measured before for the same hypothesis is dropped, and so is one that was
        measured before the hypothesis was worded: it may have been worded after it. A hypothesis
        for which nothing new comes is closed as undecided, with the reason of its setback if
        there is one.
        """
        ...


@runtime_checkable
class EvidenceAnalyst(Protocol):
    """Role `analyze_evidence`. Verdicts are computed from measurements; words come from here."""

    def analyze_evidence(self, dossier: Dossier, case: Case) -> Sequence[Interpretation]:
        """What the new evidence says, for each open hypothesis, its status already computed."""
        ...


@runtime_checkable
class HypothesisRefiner(Protocol):
    """Role `refine_hypotheses`: refinement and termination."""

    def refine_hypotheses(self, dossier: Dossier, case: Case) -> Sequence[Refinement | Setback]:
        """Children for hypotheses of status `refined`, and new hypotheses the evidence suggests.

        A `refined` hypothesis without a child becomes `undecided`, with the reason of its setback
        if there is one.
        """
        ...

    def review(self, dossier: Dossier, case: Case) -> Review:
        """Which hypotheses need more tests, if any; asked at most 3 times."""
        ...


@runtime_checkable
class Concluder(Protocol):
    """Role `conclude`."""

    def conclude(self, dossier: Dossier, case: Case) -> Conclusion:
        """The explanation; every claim cites ids of observations that support it."""
        ...
