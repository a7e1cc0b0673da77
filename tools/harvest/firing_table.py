"""Where each feature of a pass fires, read back from its blocks feature by feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.errors import ActivationNotFinite
from tools.harvest.blocks import Block, BlockPart

_FIRINGS_AT_ONCE = 2**20
"""Most firings that are read ahead (8 MiB), unless a single feature has more."""


@dataclass(frozen=True, slots=True, eq=False)
class Firings:
    """Where one feature fires."""

    places: NDArray[np.int32]
    """Shape (n_firings,): ascending indices into the tokens of all windows, end to end."""
    values: NDArray[np.float32]
    """Shape (n_firings,): activations there, all above zero."""


class FiringTable:
    """What one pass found. Quickest when features are asked for in their order."""

    def __init__(self, features: Sequence[int], blocks: Sequence[Block]) -> None:
        """Take the finished blocks of a pass over `features`, in the order of the windows."""
        self._blocks = blocks
        self._columns = {feature: column for column, feature in enumerate(features)}
        self._counts = np.zeros(len(features), np.int64)
        self.failures: Mapping[int, ActivationNotFinite] = {}
        """Features that gave NaN or an infinity, and where they first did."""
        texts: dict[int, str] = {}
        for block in blocks:
            self._counts += block.counts
            texts = {**block.failures, **texts}
        self.failures = {item: ActivationNotFinite(text, item) for item, text in texts.items()}
        self._near: dict[int, Firings] = {}

    def part(self, features: Sequence[int], columns: range, names: range) -> FiringTable:
        """A table of some of the columns, in which features count from the first of `names`.

        Args:
            features: of those columns, as the part calls them.
            columns: in this table.
            names: all features that could be the part's, as this table calls them.
        """
        return FiringTable(features, [BlockPart(each, columns, names) for each in self._blocks])

    @property
    def features(self) -> tuple[int, ...]:
        """The features that could be measured, in the order they were asked for."""
        return tuple(feature for feature in self._columns if feature not in self.failures)

    def count(self, feature: int) -> int:
        """Tokens on which `feature` fires."""
        return int(self._counts[self._columns[feature]])

    def of(self, feature: int) -> Firings:
        """Where `feature` fires."""
        column = self._columns[feature]
        near = self._near
        if column not in near:
            # Assigned whole: threads that ask for other features meanwhile lose nothing.
            self._near = near = self._read_from(column)
        return near[column]

    def _read_from(self, column: int) -> dict[int, Firings]:
        ahead = np.cumsum(self._counts[column:])
        end = column + max(1, int(np.searchsorted(ahead, _FIRINGS_AT_ONCE, side="right")))
        parts = [block.read(column, end) for block in self._blocks]
        return {
            column + number: Firings(
                np.concatenate([p.places[p.begins[number] : p.begins[number + 1]] for p in parts]),
                np.concatenate([p.values[p.begins[number] : p.begins[number + 1]] for p in parts]),
            )
            for number in range(end - column)
        }
