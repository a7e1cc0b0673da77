"""Baseline: another feature's explanation, the floor that every true one must beat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from evaluation.baselines.baseline import Desk, missing
from evaluation.candidate import Candidate
from tools.llm.costs import NOTHING_SPENT


class Shuffled:
    """Gives each feature the explanation of another one, each explanation to one feature."""

    name = "shuffled"

    def asks(self, policy: str) -> bool:
        """Never."""
        return False

    def recipe(self, agentic: Mapping[int, Candidate]) -> str:
        """The explanations that are shuffled."""
        return "1 " + " ".join(agentic[feature].digest for feature in _explained(agentic))

    def explain(self, desk: Desk) -> Candidate:
        """The explanation that falls to the feature."""
        donor = derangement(_explained(desk.agentic), desk.seed).get(desk.feature)
        if donor is None:
            return missing(self.name, desk.feature, "the feature has no explanation to exchange")
        if donor == desk.feature:
            reason = "no other feature of the run has an explanation"
            return missing(self.name, desk.feature, reason)
        theirs = desk.agentic[donor]
        content = {**theirs.content, "from": donor}
        return replace(
            theirs,
            explainer=self.name,
            feature=desk.feature,
            content=content,
            spent=NOTHING_SPENT,
        )


def derangement(features: Iterable[int], seed: int) -> dict[int, int]:
    """A seeded permutation that leaves no feature in its place, unless there is but one.

    A random cycle: each gives to the next, so that the same features and seed always pair alike.
    """
    random = np.random.default_rng([seed, *b"shuffled"])
    cycle: list[int] = random.permutation(sorted(features)).tolist()
    return dict(zip(cycle, [*cycle[1:], *cycle[:1]], strict=True))


def _explained(agentic: Mapping[int, Candidate]) -> list[int]:
    return sorted(feature for feature, candidate in agentic.items() if not candidate.missing)
