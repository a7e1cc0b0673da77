"""Which windows make up the census, and what of a feature's firings falls in them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.census import levels_of
from tools.harvest.firing_table import Firings
from tools.harvest.layout import SampleLayout

CENSUS_TOKENS = 150_000
"""Most tokens of the common text."""
CENSUS_FIRINGS = 1_500
"""After so many firings of a feature the rest of the text is left out."""

_SEED = 0xCE45


class Counted(NamedTuple):
    """A census without its text; see `Census`."""

    n_windows: int
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

    def count(self, firings: Firings, scale: float) -> Counted:
        """What of a feature's firings falls in the common text."""
        window = self._layout.window_of[firings.places]
        number = self._place_of[window]
        inside = number >= 0
        window, number = window[inside], number[inside]
        places = firings.places[inside] - self._layout.starts[window] + self.starts[number]
        order = np.argsort(places)
        n_windows = self._looked_at(np.sort(number))
        kept = order[places[order] < self.starts[n_windows]]
        levels = levels_of(firings.values[inside][kept], scale)
        return Counted(n_windows, places[kept].astype(np.int32), levels)

    def _looked_at(self, numbers: NDArray[np.intp]) -> int:
        """How many windows hold CENSUS_FIRINGS firings at most, or a single one."""
        if len(numbers) <= CENSUS_FIRINGS:
            return len(self.windows)
        return max(1, int(numbers[CENSUS_FIRINGS]))
