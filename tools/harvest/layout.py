"""The tokens of a sample end to end: the numbers by which firings are kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tools.exemplars import SPLITS, Split
from tools.harvest.sampling import CorpusSample


@dataclass(frozen=True, slots=True, eq=False)
class SampleLayout:
    """The tokens of all windows end to end, and an index of which windows hold which token.

    Distinct tokens are numbered by ascending id; that number is a token's code.
    """

    token_ids: NDArray[np.int64]
    """Shape (n_tokens,)."""
    starts: NDArray[np.int64]
    """Shape (n_windows + 1,): where each window starts; the last entry is n_tokens."""
    window_of: NDArray[np.int32]
    """Shape (n_tokens,): the window of each token."""
    split_of: NDArray[np.int8]
    """Shape (n_windows,): index into SPLITS."""
    distinct: NDArray[np.int64]
    """Shape (n_distinct,): the token ids that occur, ascending."""
    codes: NDArray[np.int64]
    """Shape (n_tokens,): index of each token into `distinct`."""
    n_proposed: NDArray[np.int64]
    """Shape (n_distinct,): occurrences in the propose split."""
    holders: csr_array
    """Shape (n_distinct, n_windows): 1 where the window holds the token."""

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
    split_of = np.array([SPLITS.index(window.split) for window in sample.windows], np.int8)
    distinct, codes = np.unique(token_ids, return_inverse=True)
    proposed = split_of[window_of] == SPLITS.index("propose")
    return SampleLayout(
        token_ids=token_ids,
        starts=np.cumsum([0, *lengths], dtype=np.int64),
        window_of=window_of,
        split_of=split_of,
        distinct=distinct,
        codes=codes,
        n_proposed=np.bincount(codes[proposed], minlength=len(distinct)),
        holders=_holders(codes, window_of, (len(distinct), len(lengths))),
    )


def _holders(
    codes: NDArray[np.int64], window_of: NDArray[np.int32], shape: tuple[int, int]
) -> csr_array:
    cells = np.unique(codes * shape[1] + window_of)
    held, windows = np.divmod(cells, max(1, shape[1]))
    return csr_array((np.ones(len(cells)), (held, windows)), shape)
