"""Which windows make up the census, and what of a feature's firings falls in them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.census import levels_of
from tools.harvest.layout import SampleLayout

CENSUS_TOKENS = 150_000
"""Most tokens of the common text."""
CENSUS_FIRINGS = 1_500
"""After so many firings of a feature the rest of the text is left out."""

_SEED = 0xCE45


class Counted(NamedTuple):
    """The censuses of some features, without their text; see `Census`."""

    n_windows: NDArray[np.int64]
    """Shape (n_features,)."""
    bounds: NDArray[np.int64]
    """Shape (n_features + 1,): where the firings of each feature begin."""
    places: NDArray[np.int32]
    levels: NDArray[np.uint8]


class CommonText:
    """The propose split in random order, as far as it is kept."""

    def __init__(self, layout: SampleLayout, seed: int) -> None:
        """Draw the windows.

        Args:
            layout: of the sample.
            seed: the sample's.
        """
        proposed = layout.windows_in("propose")
        random = np.random.default_rng([seed & 0xFFFF_FFFF_FFFF_FFFF, _SEED])
        shuffled = proposed[random.permutation(len(proposed))]
        lengths = layout.starts[shuffled + 1] - layout.starts[shuffled]
        kept = max(1, int(np.searchsorted(np.cumsum(lengths), CENSUS_TOKENS, side="right")))
        self.windows: NDArray[np.intp] = shuffled[:kept]
        """Shape (n_windows,): which windows of the sample, in their order here."""
        self.n_proposed = len(proposed)
        self.starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum(lengths[:kept])])
        self._layout = layout
        self._place_of = np.full(len(layout.split_of), -1)
        self._place_of[self.windows] = np.arange(len(self.windows))

    def count(
        self,
        owners: NDArray[np.int64],
        places: NDArray[np.int32],
        values: NDArray[np.float32],
        scales: NDArray[np.float64],
    ) -> Counted:
        """What of the firings of some features falls in the common text.

        Args:
            owners: shape (n_firings,): number of the feature, ascending.
            places: shape (n_firings,): tokens of the sample.
            values: shape (n_firings,): activations.
            scales: shape (n_features,).
        """
        window = self._layout.window_of[places]
        inside = np.flatnonzero(self._place_of[window] >= 0)
        window, owners = window[inside], owners[inside]
        number = self._place_of[window]
        here = places[inside] - self._layout.starts[window] + self.starts[number]
        order = np.argsort(owners * self.starts[-1] + here)
        owners, number, here = owners[order], number[order], here[order]
        n_windows = self._looked_at(np.searchsorted(owners, np.arange(len(scales) + 1)), number)
        kept = np.flatnonzero(here < self.starts[n_windows[owners]])
        owners = owners[kept]
        return Counted(
            n_windows,
            np.searchsorted(owners, np.arange(len(scales) + 1)),
            here[kept].astype(np.int32),
            levels_of(values[inside[order[kept]]], scales[owners]),
        )

    def _looked_at(
        self, bounds: NDArray[np.int64], numbers: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """How many windows hold CENSUS_FIRINGS firings of a feature at most, or a single one."""
        n_windows = np.full(len(bounds) - 1, len(self.windows))
        often = np.diff(bounds) > CENSUS_FIRINGS
        n_windows[often] = np.maximum(1, numbers[bounds[:-1][often] + CENSUS_FIRINGS])
        return n_windows
