"""Which windows are kept of one feature and split: the choice of exemplars, on numbers alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tools.exemplars import Band

TOP_WINDOWS = 10
"""Windows kept by largest maximum; their mean maximum on propose is the feature's unit."""
QUANTILE_BANDS: tuple[Band, ...] = ("quantile_1", "quantile_2", "quantile_3", "quantile_4")
QUANTILE_WINDOWS = 6
"""Windows kept of each quarter of those that fire, top ones aside."""
RANDOM_WINDOWS = 16
NEAR_MISS_WINDOWS = 16

Windows = NDArray[np.intp]
"""Indices of windows; the position within a band is its rank."""


def choose_firing(
    windows: Windows, maxima: NDArray[np.float32], random: np.random.Generator
) -> dict[Band, Windows]:
    """Choose among the windows that fire, from the strongest to the weakest.

    Args:
        windows: those that fire, ascending: a tie goes to the earlier one.
        maxima: shape (n_windows,): largest activation in each.
        random: draws within the quarters.
    """
    descending = np.lexsort((windows, -maxima))
    chosen: dict[Band, Windows] = {"top": windows[descending[:TOP_WINDOWS]]}
    rest = descending[TOP_WINDOWS:]
    bounds = [len(rest) * quarter // 4 for quarter in range(5)]
    for band, begin, end in zip(reversed(QUANTILE_BANDS), bounds[:-1], bounds[1:], strict=True):
        drawn = random.permutation(end - begin)[:QUANTILE_WINDOWS]
        chosen[band] = windows[rest[begin:end][np.sort(drawn)]]
    return chosen


def choose_silent(
    windows: Windows, likeness: NDArray[np.float64], random: np.random.Generator
) -> dict[Band, Windows]:
    """Choose among the windows on which nothing fires.

    The random ones are drawn first, so that they depend on their own split alone; near misses
    are the others that most resemble the windows that fire.

    Args:
        windows: those that do not fire.
        likeness: shape (n_windows,): how much each holds of what usually fires; 0 for nothing.
        random: draws the random windows and breaks ties between near misses.
    """
    shuffled = random.permutation(len(windows))
    drawn, others = shuffled[:RANDOM_WINDOWS], shuffled[RANDOM_WINDOWS:]
    likest = others[np.argsort(-likeness[others], kind="stable")]
    near = likest[likeness[likest] > 0][:NEAR_MISS_WINDOWS]
    return {"random": windows[drawn], "near_miss": windows[near]}
