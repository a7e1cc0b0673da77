"""The tokens of a sample end to end: the numbers by which firings are kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.exemplars import SPLITS, Split
from tools.harvest.sampling import CorpusSample


@dataclass(frozen=True, slots=True, eq=False)
class SampleLayout:
    """The tokens of all windows end to end, and an index of which windows hold which token."""

    token_ids: NDArray[np.int64]
    """Shape (n_tokens,)."""
    starts: NDArray[np.int64]
    """Shape (n_windows + 1,): where each window starts; the last entry is n_tokens."""
    window_of: NDArray[np.int32]
    """Shape (n_tokens,): the window of each token."""
    split_of: NDArray[np.int8]
    """Shape (n_windows,): index into SPLITS."""
    holders: dict[int, NDArray[np.int32]]
    """Token id to the windows that hold it, ascending."""

    def windows_in(self, split: Split) -> NDArray[np.intp]:
        """Ascending indices of the windows of one split."""
        return np.flatnonzero(self.split_of == SPLITS.index(split))


def lay_out(sample: CorpusSample) -> SampleLayout:
    """Put the windows of a sample end to end."""
    lengths = [len(window.token_ids) for window in sample.windows]
    token_ids = np.fromiter(
        (token for window in sample.windows for token in window.token_ids), np.int64, sum(lengths)
    )
    window_of = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    return SampleLayout(
        token_ids=token_ids,
        starts=np.cumsum([0, *lengths], dtype=np.int64),
        window_of=window_of,
        split_of=np.array([SPLITS.index(window.split) for window in sample.windows], np.int8),
        holders=_holders(token_ids, window_of),
    )


def _holders(
    token_ids: NDArray[np.int64], window_of: NDArray[np.int32]
) -> dict[int, NDArray[np.int32]]:
    order = np.lexsort((window_of, token_ids))
    tokens, windows = token_ids[order], window_of[order]
    is_first = np.ones(len(tokens), np.bool_)
    is_first[1:] = (np.diff(tokens) != 0) | (np.diff(windows) != 0)
    tokens, windows = tokens[is_first], windows[is_first]
    distinct, begins = np.unique(tokens, return_index=True)
    return dict(zip(distinct.tolist(), np.split(windows, begins[1:]), strict=True))
