"""The census: text common to all features, and every place where one of them fires in it.

Exemplars are chosen by how a feature fires, so what is usual cannot be told from them. The census
is drawn without looking at any feature: what it shows to be silent is as common as it seems.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tools.rules import Condition, Mask, Windows

STEPS = 31
"""Steps in which activations are kept, from 0 to the feature's scale."""


@dataclass(frozen=True, eq=False)
class CensusText:
    """Windows of the propose split in random order, the same for every feature."""

    tokens: Sequence[tuple[str, ...]]
    """Per window, the surfaces."""
    documents: Sequence[str]
    """Per window, its document."""
    positions: Sequence[int]
    """Per window, the character offset of its first token in its document."""
    n_proposed: int
    """Windows of the whole propose split."""

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Shape (n_windows + 1,): where each window starts when all are laid end to end."""
        return np.cumsum([0, *map(len, self.tokens)], dtype=np.int64)

    @cached_property
    def numbers(self) -> dict[tuple[str, int, tuple[str, ...]], int]:
        """Document, position and tokens to the number of the window."""
        keys = zip(self.documents, self.positions, self.tokens, strict=True)
        return {key: number for number, key in enumerate(keys)}

    @cached_property
    def windows(self) -> Windows:
        """All windows end to end; masks that it remembers are known to all readings."""
        return Windows.of(self.tokens)

    def reading(self, known: Mask) -> Windows:
        """The windows under `known` end to end; each call remembers masks of its own.

        Args:
            known: shape (n_windows,).
        """
        whole = self.windows
        if known.all():
            return Windows(whole.vocabulary, whole.codes, whole.positions, dict(whole.memo))
        some = Windows.of([self.tokens[number] for number in np.flatnonzero(known).tolist()])
        kept = np.repeat(known, np.diff(self.starts))
        masks = ((key, found) for key, found in whole.memo.items() if isinstance(key, Condition))
        some.memo.update({condition: mask[kept] for condition, mask in masks})
        return some

    def document_numbers(self, others: Sequence[str]) -> NDArray[np.int64]:
        """A number for the document of each window, and of others that come after."""
        numbers: dict[str, int] = {}
        names = (*self.documents, *others)
        return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Census:
    """Where one feature fires in the first windows of the common text, and nowhere else there."""

    text: CensusText
    n_windows: int
    """Windows that were looked at: fewer than all where the feature fires very often."""
    places: NDArray[np.int32]
    """Shape (n_firings,): ascending indices into the tokens of all windows, end to end."""
    levels: NDArray[np.uint8]
    """Shape (n_firings,): activations in steps, `STEPS` of which are the feature's scale; what
    exceeds it counts as so many, what is faint as 1."""

    @property
    def n_tokens(self) -> int:
        """Tokens of the windows that were looked at."""
        return int(self.text.starts[self.n_windows])


def levels_of(
    activations: NDArray[np.floating], scale: float | NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Activations above zero in steps; the scale, or that of each, must be positive too."""
    steps = np.rint(activations.astype(np.float64) / scale * STEPS)
    return np.clip(steps, 1, STEPS).astype(np.uint8)
