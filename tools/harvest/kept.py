"""What is kept of some features of a pass, as arrays: no object for each exemplar or token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.exemplars import BANDS, KEPT_SPLITS, SPLITS
from tools.harvest.bands import TOP_WINDOWS, Choice, choose_firing, choose_silent, draw, ranks
from tools.harvest.common_text import CommonText, Counted
from tools.harvest.firing_table import Firings
from tools.harvest.histograms import Histograms, histograms
from tools.harvest.layout import SampleLayout
from tools.harvest.token_sums import TokenSums

CELLS_AT_ONCE = 2**17
"""Features times windows, or times distinct tokens, that are laid out at once (1 MiB each)."""


class Statistics(NamedTuple):
    """One number for each feature; see `FeatureStatistics`."""

    n_active_tokens: NDArray[np.int64]
    n_active_windows: NDArray[np.int64]
    max_activation: NDArray[np.float64]
    scale: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class KeptFeatures:
    """Statistics, windows and tokens of some features, each number in a column of its own."""

    features: tuple[int, ...]
    statistics: Statistics
    histograms: Histograms
    tokens: TokenSums
    """Of the propose split."""
    choice: Choice
    """The windows kept; group `len(SPLITS) * n + s` is feature number n and split number s."""
    counted: Counted
    ends: NDArray[np.int64]
    """Shape (n_kept,): how many of the firings come before the end of each window."""
    places: NDArray[np.int32]
    """Shape (n_firings,): token within its window."""
    activations: NDArray[np.float32]
    """Shape (n_firings,): above zero."""


def features_at_once(layout: SampleLayout) -> int:
    """For how many features `keep` may be asked together."""
    return max(1, CELLS_AT_ONCE // max(1, len(layout.split_of), len(layout.distinct)))


def keep(
    features: Sequence[int],
    firings: Sequence[Firings],
    layout: SampleLayout,
    common_text: CommonText,
    seed: int,
) -> KeptFeatures:
    """Choose what is kept of some features; each as if it were alone.

    Args:
        features: ids, no more than `features_at_once`.
        firings: where each of them fires.
        layout: of the sample.
        common_text: of the sample, for the census.
        seed: of the random choices.
    """
    n = len(features)
    counts = np.array([len(each.places) for each in firings], np.int64)
    owners = np.repeat(np.arange(n), counts)
    places = np.concatenate([each.places for each in firings])
    values = np.concatenate([each.values for each in firings])
    holding = layout.window_of[places]
    proposed = layout.split_of[holding] == SPLITS.index("propose")
    tokens = TokenSums.of(owners[proposed], places[proposed], values[proposed], n, layout)
    keys = owners * len(layout.split_of) + holding
    begins = np.flatnonzero(np.diff(keys, prepend=-1))
    maxima = np.maximum.reduceat(values, begins) if len(begins) else values
    firing = _Firing(owners[begins], holding[begins].astype(np.int64), maxima)
    choice = _choose(np.asarray(features, np.int64), firing, tokens, layout, seed)
    statistics = _statistics(counts, firing, choice, layout)
    ends, inside = _within(keys, choice, len(layout.split_of))
    lengths = np.diff(ends, prepend=0)
    return KeptFeatures(
        features=tuple(features),
        statistics=statistics,
        histograms=histograms(owners, values, n),
        tokens=tokens,
        choice=choice,
        counted=common_text.count(owners, places, values, statistics.scale),
        ends=ends,
        places=places[inside] - np.repeat(layout.starts[choice.windows], lengths).astype(np.int32),
        activations=values[inside],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Firing:
    """The windows in which features fire, ascending, feature by feature."""

    owners: NDArray[np.int64]
    windows: NDArray[np.int64]
    maxima: NDArray[np.float32]


def _choose(
    features: NDArray[np.int64],
    firing: _Firing,
    tokens: TokenSums,
    layout: SampleLayout,
    seed: int,
) -> Choice:
    n = len(features)
    priorities = draw(seed, features, len(layout.split_of))
    fires = np.zeros(priorities.shape, np.bool_)
    fires[firing.owners, firing.windows] = True
    likeness = tokens.likeness(n, layout)
    kept_splits = [SPLITS.index(split) for split in KEPT_SPLITS]
    kept = np.isin(layout.split_of[firing.windows], kept_splits)
    owners, windows = firing.owners[kept], firing.windows[kept]
    groups = owners * len(SPLITS) + layout.split_of[windows]
    found = [choose_firing(groups, windows, firing.maxima[kept], priorities)]
    for number, split in zip(kept_splits, KEPT_SPLITS, strict=True):
        columns = layout.windows_in(split)
        chosen = choose_silent(fires[:, columns], likeness[:, columns], priorities[:, columns])
        groups = chosen.groups * len(SPLITS) + number
        found.append(Choice(groups, chosen.bands, columns[chosen.windows]))
    groups, bands, windows = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((bands, groups))
    return Choice(groups[order], bands[order], windows[order])


def _within(
    keys: NDArray[np.int64], choice: Choice, n_windows: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ends of the windows' firings laid end to end, and the index of each of those firings."""
    wanted = choice.groups // len(SPLITS) * n_windows + choice.windows
    first = np.searchsorted(keys, wanted)
    counts = np.searchsorted(keys, wanted, side="right") - first
    ends = np.cumsum(counts)
    return ends, np.arange(int(counts.sum())) + np.repeat(first - ends + counts, counts)


def _statistics(
    n_active_tokens: NDArray[np.int64], firing: _Firing, choice: Choice, layout: SampleLayout
) -> Statistics:
    n_features, n_windows = len(n_active_tokens), len(layout.split_of)
    proposed = layout.split_of[firing.windows] == SPLITS.index("propose")
    n_proposed = np.bincount(firing.owners[proposed], minlength=n_features)
    top = choice.bands == BANDS.index("top")
    top &= choice.groups % len(SPLITS) == SPLITS.index("propose")
    owners = choice.groups[top] // len(SPLITS)
    # Windows that fire are in the order of feature and window: the kept ones can be looked up.
    wanted = owners * n_windows + choice.windows[top]
    places = np.searchsorted(firing.owners * n_windows + firing.windows, wanted)
    strongest = np.zeros((n_features, TOP_WINDOWS))
    strongest[owners, ranks(owners)] = firing.maxima[places]
    scale = strongest.sum(axis=1) / np.clip(n_proposed, 1, TOP_WINDOWS)
    return Statistics(n_active_tokens, n_proposed, strongest[:, 0], scale)
