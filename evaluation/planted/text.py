"""Token sequences laid end to end, as planted features read them.

What is true of a surface alone is decided once per distinct surface; everything else is arithmetic
on arrays. Nothing of `tools.rules` is used: truth and explanation must not share a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Mask = NDArray[np.bool_]
"""One truth value per token."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Distinct surfaces, with what was found out about them."""

    surfaces: tuple[str, ...]
    _tables: dict[Callable[[str], object], NDArray[Any]] = field(
        default_factory=dict[Callable[[str], object], NDArray[Any]], repr=False
    )

    def table(self, of: Callable[[str], object], dtype: DTypeLike) -> NDArray[Any]:
        """What a function gives for each surface; it is called once per surface."""
        if of not in self._tables:
            self._tables[of] = np.array([of(surface) for surface in self.surfaces], dtype=dtype)
        return self._tables[of]


@dataclass(frozen=True, eq=False)
class Text:
    """One or several texts end to end; nothing is seen across the border between two."""

    vocabulary: Vocabulary
    codes: NDArray[np.int64]
    """Shape (n_tokens,): indices into the vocabulary; equal surfaces have equal codes."""
    positions: NDArray[np.int64]
    """Shape (n_tokens,): index of each token within its own text."""

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]]) -> Text:
        """Lay out texts that are given as surfaces."""
        flat = [surface for text in texts for surface in text]
        surfaces = tuple(dict.fromkeys(flat))
        index = {surface: code for code, surface in enumerate(surfaces)}
        codes = np.array([index[surface] for surface in flat], np.int64)
        return cls(Vocabulary(surfaces), codes, positions_of([len(text) for text in texts]))

    def __len__(self) -> int:
        """Number of tokens."""
        return len(self.codes)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Shape (n_tokens,): index of the first token of each token's text."""
        return np.arange(len(self)) - self.positions

    def where(self, holds: Callable[[str], bool]) -> Mask:
        """Tokens whose surface meets a predicate."""
        return self.numbers(holds, np.bool_)

    def numbers(self, of: Callable[[str], object], dtype: DTypeLike) -> NDArray[Any]:
        """What a function of the surface gives for each token."""
        return self.vocabulary.table(of, dtype)[self.codes]

    def before(self, values: NDArray[Any], by: int = 1) -> NDArray[Any]:
        """The value `by` tokens earlier; zero where the text does not reach back so far."""
        shifted = np.zeros_like(values)
        shifted[by:] = values[: len(values) - by]
        shifted[self.positions < by] = 0
        return shifted

    def sum_before(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Sum of the values of all earlier tokens of the same text."""
        sums = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
        return sums[:-1] - sums[self.starts]

    def latest_before(self, mask: Mask) -> NDArray[np.int64]:
        """Index of the latest earlier token of the same text that is marked, or -1."""
        marked = np.where(mask, np.arange(len(self)), -1)
        latest = np.concatenate([[-1], np.maximum.accumulate(marked)])[: len(self)]
        return np.where(latest >= self.starts, latest, -1)


def positions_of(lengths: Sequence[int]) -> NDArray[np.int64]:
    """Index of each token within its text, for texts of these lengths end to end."""
    return np.concatenate([np.zeros(0, np.int64), *(np.arange(length) for length in lengths)])
