"""One feature under examination: the held-out text that every explanation of it is scored on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeVar, cast

import numpy as np

from evaluation.held_out import FeatureText
from evaluation.truth import Truth
from tools.activations import Subject, TextActivations

T = TypeVar("T")

SUCCESS = 0.5
"""Share of the feature's scale from which a text counts as a success: half the mean of the top-10
maxima, as SAGE has it."""


@dataclass(frozen=True, eq=False)
class Exam:
    """What scorers are handed: the same for every explanation of the feature.

    Random draws are seeded by run, feature and purpose, so that all explanations meet the same
    texts and a second evaluation gives equal scores.
    """

    feature: int
    scale: float
    """Mean of the top-10 window maxima of the propose split, in the SAE's units."""
    held_out: FeatureText
    """The evaluate split as the feature fires on it."""
    table: dict[str, float]
    """Mean activation of each token of the propose split on which the feature ever fired, by
    surface: where negatives that look alike are found."""
    subject: Subject
    seed: int
    """The run's seed."""
    truth: Truth | None = None
    """What the feature means, where that is known."""
    hypotheses: Sequence[Mapping[str, Any]] = ()
    """The run's hypotheses with `polarity`, `rule` (JSON or None) and `status`."""
    _memo: dict[Hashable, Any] = field(default_factory=dict[Hashable, Any], repr=False)

    @property
    def threshold(self) -> float:
        """Activation from which a written text is a success, in the SAE's units."""
        return SUCCESS * self.scale

    def random(self, purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose."""
        return np.random.default_rng(self.seed_of(purpose))

    def seed_of(self, purpose: str) -> int:
        """A seed of its own for each purpose."""
        name = f"{self.seed}/{self.feature}/{purpose}".encode()
        return int.from_bytes(blake2b(name, digest_size=7).digest(), "big")

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made at the first call only: draws and answers that scorers share."""
        if key not in self._memo:
            self._memo[key] = make()
        return cast("T", self._memo[key])

    def measure(self, texts: Sequence[str]) -> list[TextActivations]:
        """Run texts through model and SAE as one batch; one column, this feature's."""
        return self.subject.activations(texts, [self.feature])
