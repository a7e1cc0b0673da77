"""Which windows are kept of a feature and split: the choice of exemplars, on numbers alone.

Many features are chosen for at once. A group is one feature and split, numbered feature by feature.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.exemplars import BANDS, SPLITS, Band

TOP_WINDOWS = 10
"""Windows kept by largest maximum; their mean maximum on propose is the feature's unit."""
QUANTILE_WINDOWS = 6
"""Windows kept of each quarter of those that fire, top ones aside."""
RANDOM_WINDOWS = 16
NEAR_MISS_WINDOWS = 16

_QUARTERS = 4


class Choice(NamedTuple):
    """Windows kept, by group, band and rank."""

    groups: NDArray[np.int64]
    """Shape (n_kept,): ascending."""
    bands: NDArray[np.int8]
    """Shape (n_kept,): index into BANDS, ascending within a group."""
    windows: NDArray[np.int64]
    """Shape (n_kept,)."""


def choose_firing(
    groups: NDArray[np.int64],
    windows: NDArray[np.int64],
    maxima: NDArray[np.float32],
    priorities: NDArray[np.uint64],
) -> Choice:
    """Choose among the windows that fire: the strongest, and some of each quarter of the rest.

    Args:
        groups: shape (n,).
        windows: shape (n,): a tie goes to the earlier one.
        maxima: shape (n,): largest activation in each, above zero.
        priorities: shape (n_features, n_windows), fewer than 2**30 in all: of each quarter, those
            with the smallest are drawn.
    """
    groups, windows = _strongest_first(groups, windows, maxima, priorities.shape[1])
    rank = ranks(groups)
    n_rest = np.bincount(groups)[groups] - TOP_WINDOWS if len(groups) else groups
    quarter = sum(
        (rank - TOP_WINDOWS >= n_rest * number // _QUARTERS).astype(np.int64)
        for number in range(1, _QUARTERS)
    )
    bands = np.where(rank < TOP_WINDOWS, BANDS.index("top"), BANDS.index("quantile_4") + quarter)
    taken = rank < TOP_WINDOWS
    rest = np.flatnonzero(~taken)
    parts = groups[rest] * len(BANDS) + bands[rest]
    drawn = np.argsort(priorities[groups[rest] // len(SPLITS), windows[rest]])
    # A stable order of few bits is quick, and no two priorities of a feature are equal.
    narrow = parts.astype(np.min_scalar_type(int(parts.max(initial=0))))
    drawn = drawn[np.argsort(narrow[drawn], kind="stable")]
    taken[rest[drawn[ranks(parts[drawn]) < QUANTILE_WINDOWS]]] = True
    return Choice(groups[taken], bands[taken].astype(np.int8), windows[taken])


def _strongest_first(
    groups: NDArray[np.int64],
    windows: NDArray[np.int64],
    maxima: NDArray[np.float32],
    n_windows: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Groups and windows by group, maximum and window, as one number each: quickest by far."""
    window_bits = (n_windows - 1).bit_length()
    # The bits of floats above zero are in the order of the floats.
    weakness = np.uint64(2**32 - 1) - maxima.view(np.uint32)
    keys = ((groups.astype(np.uint64) << 32 | weakness) << window_bits) | windows.astype(np.uint64)
    keys.sort()
    windows = (keys & np.uint64(2**window_bits - 1)).astype(np.int64)
    return (keys >> (32 + window_bits)).astype(np.int64), windows


def choose_silent(
    fires: NDArray[np.bool_], likeness: NDArray[np.float64], priorities: NDArray[np.uint64]
) -> Choice:
    """Choose among the windows of one split on which a feature does not fire.

    The random ones are drawn first, so that they depend on their own split alone; near misses
    are the others that most resemble the windows that fire.

    Args:
        fires: shape (n_features, n_windows).
        likeness: of that shape: how much a window holds of what usually fires; 0 for nothing.
        priorities: of that shape: the smallest are drawn, and settle ties between near misses.

    Returns:
        Groups count features here, and windows the columns.
    """
    silent = ~fires
    unwanted = np.where(silent, priorities, np.uint64(2**64 - 1))
    random = _first(unwanted, priorities, silent, RANDOM_WINDOWS)
    others = np.where(silent, likeness, 0.0)
    others[random] = 0.0
    near = _first(-others, priorities, others > 0, NEAR_MISS_WINDOWS)
    return Choice(*_in_order([("random", *random), ("near_miss", *near)]))


def ranks(parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of each entry among those of its part, from 0; parts lie together."""
    if not len(parts):
        return parts
    begins = np.flatnonzero(np.diff(parts, prepend=parts[0] - 1))
    lengths = np.diff(begins, append=len(parts))
    return np.arange(len(parts)) - np.repeat(begins, lengths)


def draw(seed: int, features: NDArray[np.int64], n_windows: int) -> NDArray[np.uint64]:
    """Random numbers that depend on seed, feature and window alone: SplitMix64.

    See Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    Args:
        seed: of the choice.
        features: shape (n_features,).
        n_windows: how many numbers for each.

    Returns:
        Shape (n_features, n_windows).
    """
    seeds = np.full(len(features), seed & (2**64 - 1), np.uint64)
    begins = _mixed(_mixed(seeds) + features.astype(np.uint64))
    steps = np.arange(1, n_windows + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return _mixed(begins[:, None] + steps)


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


_Cells = tuple[NDArray[np.intp], NDArray[np.intp]]


def _first(
    keys: NDArray[np.float64] | NDArray[np.uint64],
    ties: NDArray[np.uint64],
    allowed: NDArray[np.bool_],
    most: int,
) -> _Cells:
    """In each row the allowed cells with the `most` smallest keys, in that order."""
    if keys.shape[1] > most:
        allowed = allowed & (keys <= np.partition(keys, most - 1, axis=1)[:, most - 1 : most])
    rows, columns = np.nonzero(allowed)
    order = np.lexsort((ties[rows, columns], keys[rows, columns], rows))
    order = order[ranks(rows[order]) < most]
    return rows[order], columns[order]


def _in_order(
    found: list[tuple[Band, NDArray[np.intp], NDArray[np.intp]]],
) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]]:
    groups = np.concatenate([rows for _, rows, _ in found])
    bands = np.concatenate([np.full(len(rows), BANDS.index(band)) for band, rows, _ in found])
    windows = np.concatenate([columns for _, _, columns in found])
    order = np.lexsort((bands, groups))
    return groups[order], bands[order].astype(np.int8), windows[order]
