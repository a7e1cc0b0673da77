"""How strongly a feature fires where it fires: its activations, counted in bins of equal width."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 40
"""From zero to the feature's largest activation."""


class Histograms(NamedTuple):
    """The histograms of some features, of all splits together."""

    highest: NDArray[np.float32]
    """Shape (n_features,): upper end of the last bin; 0 for a feature that never fires."""
    counts: NDArray[np.int32]
    """Shape (n_features, BINS): tokens with an activation above zero, by bin."""


def histograms(
    owners: NDArray[np.int64], values: NDArray[np.float32], n_features: int
) -> Histograms:
    """Count the activations of some features.

    Args:
        owners: shape (n_firings,): number of the feature, ascending.
        values: shape (n_firings,): activations above zero.
        n_features: how many features there are.
    """
    highest = np.zeros(n_features, np.float32)
    np.maximum.at(highest, owners, values)
    bins = np.minimum((values / highest[owners] * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(owners * BINS + bins, minlength=n_features * BINS)
    return Histograms(highest, counts.reshape(n_features, BINS).astype(np.int32))
