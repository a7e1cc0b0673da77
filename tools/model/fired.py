"""What fires among the latents of an SAE, found without laying out what does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_CACHED_FLOATS = 2**20
"""Latents computed at once on a CPU: what its second-level cache holds, which is what counts."""

_DEVICE_FLOATS = 2**26
"""The same on other devices: 256 MB."""

_LEAST_ROWS = 64
"""Tokens at once however wide the SAE is: fewer would read its weights again and again."""

_GROUP = 8
"""Latents whose maximum stands for all of them in a first, coarse choice."""


class FiredLatents(NamedTuple):
    """Latents that are above zero, or not finite, as triples in no particular order."""

    rows: Tensor
    """Shape (n,): which token."""
    columns: Tensor
    """Shape (n,): which of the latents looked at."""
    values: Tensor
    """Shape (n,)."""

    def of_rows(self, wanted: Tensor) -> FiredLatents:
        """Those of some of the tokens, counted anew; `wanted` is boolean, one for each token."""
        if bool(wanted.all()):
            return self
        numbers, kept = wanted.cumsum(0) - 1, wanted[self.rows]
        return FiredLatents(numbers[self.rows[kept]], self.columns[kept], self.values[kept])


def row_chunks(tokens: Tensor, n_latents: int) -> Iterator[tuple[int, Tensor]]:
    """Tokens in parts whose latents fit together in memory, each with its first row."""
    floats = _CACHED_FLOATS if tokens.device.type == "cpu" else _DEVICE_FLOATS
    size = max(_LEAST_ROWS, floats // max(1, n_latents))
    for start in range(0, len(tokens), size):
        yield start, tokens[start : start + size]


def fired_in_parts(
    tokens: Tensor, n_latents: int, find: Callable[[Tensor], FiredLatents]
) -> FiredLatents:
    """What `find` sees of all tokens, part by part.

    Args:
        tokens: shape (n_tokens, d_in).
        n_latents: how many latents `find` lays out for one token.
        find: from some of the tokens to what fires on them.
    """
    parts = [
        FiredLatents(found.rows + start, found.columns, found.values)
        for start, chunk in row_chunks(tokens, n_latents)
        for found in (find(chunk),)
    ]
    if not parts:
        none = torch.empty(0, dtype=torch.long, device=tokens.device)
        return FiredLatents(none, none, tokens.new_empty(0))
    return FiredLatents(*(torch.cat(column) for column in zip(*parts, strict=True)))


def fired_of(latents: Tensor) -> FiredLatents:
    """What fires in a dense table of shape (n_tokens, n_latents)."""
    flat = latents.reshape(-1)
    places = _nonzero(flat)
    width = max(1, latents.shape[-1])
    return _fired(places // width, places % width, flat[places])


def fired_at_most(latents: Tensor, k: int) -> FiredLatents:
    """What fires among the `k` largest of each row: TopK, and the ReLU behind it.

    Where several latents share the k-th place, those that `torch.topk` chooses.

    Args:
        latents: shape (n_tokens, n_latents).
        k: how many of each row.
    """
    if latents.device.type != "cpu":
        return _fired_by_topk(latents, k, torch.arange(len(latents), device=latents.device))
    table: NDArray[np.floating] = latents.numpy()
    least = np.maximum(least_of_top(table, k), np.finfo(table.dtype).smallest_subnormal)
    rows, columns = np.divmod(np.flatnonzero(table >= least[:, None]), table.shape[1])
    counts = np.bincount(rows, minlength=len(table))
    if (surplus := np.flatnonzero(counts > k)).size:
        least[surplus] = _kth_largest(rows, table[rows, columns], counts, k)[surplus]
        kept = table[rows, columns] >= least[rows]
        rows, columns = rows[kept], columns[kept]
        counts = np.bincount(rows, minlength=len(table))
    # Rows with NaN have no threshold, and rows with a tie for the last place have too many.
    again = (counts > k) | np.isnan(least)
    kept = ~again[rows]
    rows, columns = torch.from_numpy(rows[kept]), torch.from_numpy(columns[kept])
    found = _fired(rows, columns, latents[rows, columns])
    if not again.any():
        return found
    rest = _fired_by_topk(latents, k, torch.from_numpy(np.flatnonzero(again)))
    return FiredLatents(*(torch.cat(both) for both in zip(found, rest, strict=True)))


def least_of_top(table: NDArray[np.floating], k: int) -> NDArray[np.floating]:
    """A number of which at least `k` entries of each row are no smaller; NaN for rows with NaN.

    The k-th largest of the maxima of groups is one, and is found in a fraction of the time.

    Args:
        table: shape (rows, width).
        k: at most the width.

    Returns:
        Shape (rows,).
    """
    n, width = table.shape
    groups = width // _GROUP
    if width % _GROUP == 0 and groups >= 2 * k:
        # torch reduces strided groups many at a time, which numpy does not. A NaN stays one.
        table = torch.from_numpy(table).view(n, _GROUP, groups).amax(1).numpy()
    least = np.partition(table, table.shape[1] - k, axis=1)[:, table.shape[1] - k]
    return np.where(np.isnan(table).any(axis=1), np.nan, least)


def _kth_largest(
    rows: NDArray[np.intp], values: NDArray[np.floating], counts: NDArray[np.intp], k: int
) -> NDArray[np.floating]:
    """The `k`-th largest of the values of each row; minus infinity where there are fewer.

    Args:
        rows: ascending; the row of each value.
        values: as many.
        counts: values in each row.
        k: at most the largest of `counts`.
    """
    starts = np.cumsum(counts) - counts
    side_by_side = np.full((len(counts), counts.max()), -np.inf, values.dtype)
    side_by_side[rows, np.arange(len(rows)) - starts[rows]] = values
    return np.partition(side_by_side, counts.max() - k, axis=1)[:, counts.max() - k]


def _fired_by_topk(latents: Tensor, k: int, rows: Tensor) -> FiredLatents:
    values, columns = torch.topk(latents[rows], k, dim=-1, sorted=False)
    return _fired(rows.repeat_interleave(k), columns.reshape(-1), values.reshape(-1))


def _fired(rows: Tensor, columns: Tensor, values: Tensor) -> FiredLatents:
    wanted = (values > 0) | ~torch.isfinite(values)
    return FiredLatents(rows[wanted], columns[wanted], values[wanted])


def _nonzero(flat: Tensor) -> Tensor:
    if flat.device.type != "cpu":
        return flat.nonzero()[:, 0]
    # Three times as quick as torch's own on a CPU.
    return torch.from_numpy(np.flatnonzero((flat != 0).numpy()))
