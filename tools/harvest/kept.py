"""What is kept of one feature and split: windows by band, and where the feature fires in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tools.exemplars import BANDS, SPLITS, Band, Split
from tools.harvest.bands import Windows, choose_firing, choose_silent
from tools.harvest.firing_table import Firings
from tools.harvest.layout import SampleLayout


@dataclass(frozen=True, slots=True, eq=False)
class WindowMaxima:
    """The windows in which one feature fires, ascending, with the largest activation in each."""

    windows: Windows
    maxima: NDArray[np.float32]

    @classmethod
    def of(cls, firings: Firings, layout: SampleLayout) -> WindowMaxima:
        if not len(firings.places):
            return cls(np.empty(0, np.intp), np.empty(0, np.float32))
        holding = layout.window_of[firings.places]
        begins = np.flatnonzero(np.diff(holding, prepend=-1))
        maxima = np.maximum.reduceat(firings.values, begins)
        return cls(holding[begins].astype(np.intp), maxima)

    def within(self, layout: SampleLayout, split: Split) -> tuple[Windows, NDArray[np.float32]]:
        kept = layout.split_of[self.windows] == SPLITS.index(split)
        return self.windows[kept], self.maxima[kept]


@dataclass(frozen=True, slots=True, eq=False)
class KeptWindows:
    """The windows kept of one feature and split, with the feature's activations above zero."""

    split: Split
    bands: tuple[tuple[Band, int], ...]
    """Band and rank of each window, in the order of bands and ranks."""
    windows: Windows
    """Shape (n_windows,): which windows of the sample."""
    ends: NDArray[np.int64]
    """Shape (n_windows,): how many of the firings come before the end of each window."""
    places: NDArray[np.int32]
    """Shape (n_firings,): token within its window."""
    activations: NDArray[np.float32]
    """Shape (n_firings,)."""

    def traces(self, layout: SampleLayout) -> Iterator[NDArray[np.float32]]:
        """The activations on every token, window by window."""
        lengths = layout.starts[self.windows + 1] - layout.starts[self.windows]
        offsets = np.cumsum([0, *lengths])
        traces = np.zeros(int(offsets[-1]), np.float32)
        counts = np.diff(self.ends, prepend=0)
        traces[np.repeat(offsets[:-1], counts) + self.places] = self.activations
        bounds: list[int] = offsets.tolist()
        return (traces[begin:end] for begin, end in pairwise(bounds))


def keep_windows(
    firings: Firings,
    maxima: WindowMaxima,
    layout: SampleLayout,
    split: Split,
    likeness: NDArray[np.float64],
    random: np.random.Generator,
) -> KeptWindows:
    """Choose what is kept of one split.

    Args:
        firings: of the feature.
        maxima: of the same.
        layout: of the sample.
        split: which one.
        likeness: shape (n_windows,): how much each window resembles those that fire.
        random: of this feature and split alone.
    """
    firing, firing_maxima = maxima.within(layout, split)
    is_silent = layout.split_of == SPLITS.index(split)
    is_silent[firing] = False
    silent = np.flatnonzero(is_silent)
    chosen = choose_firing(firing, firing_maxima, random)
    chosen |= choose_silent(silent, likeness[silent], random)
    windows = np.concatenate([chosen[band] for band in BANDS])
    begins = layout.starts[windows]
    first, last = np.searchsorted(firings.places, [begins, layout.starts[windows + 1]])
    counts = last - first
    ends = np.cumsum(counts)
    # The firings of all windows, one window after the other.
    inside = np.arange(int(counts.sum())) + np.repeat(first - ends + counts, counts)
    return KeptWindows(
        split=split,
        bands=tuple((band, rank) for band in BANDS for rank in range(1, len(chosen[band]) + 1)),
        windows=windows,
        ends=ends,
        places=(firings.places[inside] - np.repeat(begins, counts)).astype(np.int32),
        activations=firings.values[inside],
    )
