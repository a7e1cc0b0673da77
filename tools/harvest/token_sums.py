"""How a feature's activation is shared out among tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tools.harvest.bands import ranks
from tools.harvest.layout import SampleLayout

Floats = NDArray[np.float64]

TOKEN_TABLE_ROWS = 256
"""Tokens kept per feature, by share."""

TRIGGER_SHARE = 0.8
"""A near miss holds one of the tokens that together carry this share of the activation."""

TRIGGER_TOKENS = 32
"""Most tokens that count as triggers."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenSums:
    """What falls on each token, feature by feature, most first."""

    owners: NDArray[np.int64]
    """Shape (n_rows,): number of the feature, ascending."""
    codes: NDArray[np.int64]
    """Shape (n_rows,): index into the layout's distinct tokens."""
    counts: NDArray[np.int64]
    """Shape (n_rows,): occurrences on which the feature fires."""
    sums: NDArray[np.float64]
    """Shape (n_rows,): activation on all of them."""
    shares: NDArray[np.float64]
    """Shape (n_rows,): of the feature's total."""
    totals: NDArray[np.float64]
    """Shape (n_features,): all its activation, that on tokens left out included."""

    @classmethod
    def of(
        cls,
        owners: NDArray[np.int64],
        places: NDArray[np.int32],
        values: NDArray[np.float32],
        n_features: int,
        layout: SampleLayout,
    ) -> TokenSums:
        """Sum up the firings of the split that tables are made of.

        Args:
            owners: shape (n_firings,): number of the feature, below `n_features`.
            places: shape (n_firings,): tokens of the sample.
            values: shape (n_firings,): activations.
            n_features: how many features there are.
            layout: of the sample.
        """
        width = len(layout.distinct)
        cells = owners * width + layout.codes[places]
        counts = np.bincount(cells, minlength=n_features * width)
        weights = values.astype(np.float64)
        summed: Floats = np.bincount(cells, weights, n_features * width).astype(np.float64)
        held = np.flatnonzero(counts)
        owners, codes = np.divmod(held, width)
        totals: Floats = np.bincount(owners, summed[held], n_features).astype(np.float64)
        order = np.lexsort((codes, -summed[held], owners))
        order = order[ranks(owners[order]) < TOKEN_TABLE_ROWS]
        held, owners, codes = held[order], owners[order], codes[order]
        shares = summed[held] / totals[owners]
        return cls(owners, codes, counts[held], summed[held], shares, totals)

    def likeness(self, n_features: int, layout: SampleLayout) -> NDArray[np.float64]:
        """The summed share of the trigger tokens that a window holds.

        Returns:
            Shape (n_features, n_windows).
        """
        rank = ranks(self.owners)
        first = rank < TRIGGER_TOKENS
        shares = np.zeros((n_features, TRIGGER_TOKENS))
        shares[self.owners[first], rank[first]] = self.shares[first]
        before = np.pad(np.cumsum(shares, axis=1), ((0, 0), (1, 0)))
        telling = np.flatnonzero(first)
        telling = telling[before[self.owners[telling], rank[telling]] < TRIGGER_SHARE]
        # Row by row in this order, so that the largest shares are added first.
        ends = np.searchsorted(self.owners[telling], np.arange(n_features + 1))
        rows = (self.shares[telling], self.codes[telling], ends)
        triggers: Any = csr_array(rows, (n_features, len(layout.distinct)))
        return (triggers @ layout.holders).toarray()
