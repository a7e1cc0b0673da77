"""What nodes are handed and is never serialised: instruments, policies, limits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from graphs.config import RunConfig
from graphs.policies.protocols import (
    Case,
    Concluder,
    Dossier,
    EvidenceAnalyst,
    ExperimentDesigner,
    HypothesisGenerator,
    HypothesisRefiner,
    Thresholds,
)
from graphs.records import ReviewPoint
from graphs.state import ExplainState, open_hypotheses
from tools.activations import Tokenization
from tools.exemplars import ExemplarSource
from tools.scheduling.scheduler import Measuring


@dataclass(frozen=True, slots=True)
class Policies:
    """The policy of each deciding role; field names are node names."""

    generate_hypotheses: HypothesisGenerator
    design_experiments: ExperimentDesigner
    analyze_evidence: EvidenceAnalyst
    refine_hypotheses: HypothesisRefiner
    conclude: Concluder


@dataclass(frozen=True, slots=True)
class Limits:
    """When a feature's investigation ends, decided or not."""

    rounds: int
    experiments: int
    """Texts, all rounds together."""
    minutes: float | None
    """Time in nodes; None for no limit."""
    reviews: int = 3

    def used_up(self, state: ExplainState) -> bool:
        """Whether no further round may begin: rounds, experiments or minutes are spent."""
        if state["round"] >= self.rounds or len(state["experiments"]) >= self.experiments:
            return True
        return self.minutes is not None and state["seconds"] >= 60 * self.minutes


def limits_of(config: RunConfig) -> Limits:
    """The limits that a configuration sets."""
    budget = config.budget
    return Limits(rounds=budget.rounds, experiments=budget.experiments, minutes=budget.minutes)


@dataclass(frozen=True, slots=True)
class ExplainContext:
    """The runtime context of the graph."""

    subject: Measuring
    """Safe to share between threads."""
    source: ExemplarSource
    policies: Policies
    limits: Limits
    thresholds: Thresholds
    seed: int
    """The run's seed."""
    review: frozenset[ReviewPoint] = frozenset()
    """Where to wait for the user."""

    def dossier(self, feature: int) -> Dossier:
        """What policies are shown of `feature`."""
        return dossier_of(feature, self.source, self.subject, self.thresholds, self.seed)


def dossier_of(
    feature: int,
    source: ExemplarSource,
    tokenization: Tokenization,
    thresholds: Thresholds,
    seed: int,
) -> Dossier:
    """What policies are shown of a feature in a run of that seed."""
    return Dossier(
        feature=feature,
        seed=feature_seed(seed, feature),
        statistics=source.statistics(feature),
        exemplars=source.exemplars(feature, "propose"),
        token_table=source.token_table(feature),
        census=source.census(feature),
        contexts=source.exemplars(feature, "test"),
        tokenization=tokenization,
        thresholds=thresholds,
    )


def feature_seed(seed: int, feature: int) -> int:
    """A seed of its own for each feature, so that neither order nor interruption changes a draw."""
    digest = hashlib.sha256(f"{seed}/{feature}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def case_of(state: ExplainState, limits: Limits) -> Case:
    """The part of the state that policies are shown."""
    return Case(
        round=state["round"],
        reviews=state["reviews"],
        hypotheses=tuple(state["hypotheses"]),
        experiments=tuple(state["experiments"]),
        observations=tuple(state["observations"]),
        open=tuple(h.id for h in open_hypotheses(state)),
        final=limits.used_up(state),
    )
