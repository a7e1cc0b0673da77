"""The seam of the judges: what one predicts of a text from an explanation alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evaluation.candidate import Candidate
from evaluation.held_out import Passage, SplitText
from tools.llm.costs import NOTHING_SPENT, Spent

T = TypeVar("T")

JUDGES = ("rule", "language_model")
"""`rule` executes what an explanation carries: free, exact, offline. `language_model` reads its
description."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers(Generic[T]):
    """What a judge said of each item, in the items' order."""

    values: tuple[T | None, ...]
    """None where no usable answer came: a failure to be counted, never a prediction of zero."""
    failures: tuple[str, ...] = ()
    """Why, one for each None at most; equal reasons may stand once."""
    spent: Spent = NOTHING_SPENT
    how: str = ""
    """How the answers came about where there are several ways, such as `logprobs` or `integers`."""
    lost: int = 0
    """How many of the None may come another time: a server failed, or a budget was spent."""

    @property
    def failure_rate(self) -> float:
        """Share of items without a usable answer; 0 for no items."""
        return sum(value is None for value in self.values) / max(1, len(self.values))


@dataclass(frozen=True, slots=True)
class Detection:
    """What a judge says of one text."""

    fires: bool
    """Its decision."""
    score: float
    """How sure, in [0, 1]; only the order counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """A passage with some of its scored tokens marked as if they were the active ones."""

    passage: Passage
    marks: tuple[int, ...]
    """Indices into `passage.scored`, ascending."""


class Judge(Protocol):
    """Predicts from an explanation alone; never sees an activation.

    Every passage's activations are the truth to be predicted: a judge reads `tokens` and `start`
    only. Safe to share between threads.
    """

    @property
    def name(self) -> str:
        """One of JUDGES."""
        ...

    @property
    def asks(self) -> bool:
        """Whether each answer costs, so that fewer texts are shown."""
        ...

    def unable(self, candidate: Candidate) -> str:
        """Why it cannot judge this explanation at all; empty if it can."""
        ...

    def simulate(
        self, candidate: Candidate, passages: Sequence[Passage], *, per_token: bool = False
    ) -> Answers[NDArray[np.float64]]:
        """Predicted activation of each scored token on a scale of the judge's own, zero upwards.

        Args:
            candidate: the explanation.
            passages: what to predict.
            per_token: have a language model asked once per token, with the text up to it and no
                further, as SAGE's own code does; otherwise once per text.

        Returns:
            One array of shape (n_scored,) per passage.
        """
        ...

    def detect(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[Detection]:
        """Whether the feature fires anywhere among the scored tokens of each passage."""
        ...

    def fuzz(self, candidate: Candidate, passages: Sequence[Marked]) -> Answers[Detection]:
        """Whether the marked tokens are those on which the feature fires."""
        ...

    def pick(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[frozenset[int]]:
        """Which of the passages, shown together, fire: one answer with indices from 0."""
        ...

    def rate(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[int]:
        """How far each passage shows what is described: 0 not, 1 partly or vaguely, 2 clearly."""
        ...

    def write(
        self, candidate: Candidate, count: int, material: SplitText, seed: int, *, fires: bool
    ) -> Answers[str]:
        """Write different texts of 5 to 15 words from the explanation alone.

        Args:
            candidate: the explanation.
            count: how many.
            material: held-out text that a judge without words of its own may borrow from; it
                comes without activations.
            seed: of random choices.
            fires: whether the feature should fire on them, or should not.

        Returns:
            `count` values; None in the place of texts that could not be written.
        """
        ...
