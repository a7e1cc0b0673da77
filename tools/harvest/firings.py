"""The one pass over a sample: where each feature fires, and how strongly.

Only activations above zero are kept, as (place, value) pairs per feature: SAE activations are
mostly zero, and a dense table of every feature would not fit in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.activations import Subject
from tools.exemplars import SPLITS, Split
from tools.harvest.sampling import CorpusSample

BATCH_TOKENS = 4_096
"""Tokens per forward pass: enough to keep 2 cores busy, few enough to keep activations small."""

Progress = Callable[[int, int], None]
"""Called with the tokens done so far and the tokens in all."""


@dataclass(frozen=True, slots=True, eq=False)
class Firings:
    """Where one feature fires."""

    places: NDArray[np.int32]
    """Shape (n_firings,): ascending indices into the tokens of all windows, end to end."""
    values: NDArray[np.float32]
    """Shape (n_firings,): activations there, all above zero."""


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


def find_firings(
    subject: Subject,
    sample: CorpusSample,
    layout: SampleLayout,
    features: Sequence[int],
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress | None = None,
) -> dict[int, Firings]:
    """Run every window through the subject once and keep what fires.

    Args:
        subject: the model and SAE.
        sample: the windows.
        layout: of the same sample.
        features: distinct feature ids.
        batch_tokens: tokens per forward pass, padding counted.
        progress: called after each batch.

    Raises:
        FeatureOutOfRange: a feature id is not one of the SAE's latents.
        ActivationNotFinite: an activation is NaN or infinite.
    """
    columns: list[NDArray[np.int32]] = []
    places: list[NDArray[np.int32]] = []
    values: list[NDArray[np.float32]] = []
    done, total = 0, len(layout.token_ids)
    for batch in _batches(np.diff(layout.starts), batch_tokens):
        windows = [sample.windows[index].token_ids for index in batch]
        dense = np.concatenate(subject.encode_windows(windows, features))
        row_places: NDArray[np.int64] = np.concatenate(
            [np.arange(*layout.starts[index : index + 2], dtype=np.int64) for index in batch]
        )
        fired = np.flatnonzero(dense > 0)
        rows, feature_columns = np.divmod(fired, max(1, len(features)))
        columns.append(feature_columns.astype(np.int32))
        places.append(row_places[rows].astype(np.int32))
        values.append(dense.reshape(-1)[fired])
        done += len(row_places)
        if progress is not None:
            progress(done, total)
    return _by_feature(features, columns, places, values)


def _batches(lengths: NDArray[np.int64], batch_tokens: int) -> Iterator[list[int]]:
    """Windows of like length together, so that little is spent on padding."""
    order: list[int] = np.argsort(-lengths, kind="stable").tolist()
    while order:
        size = max(1, batch_tokens // max(1, int(lengths[order[0]])))
        yield order[:size]
        del order[:size]


def _by_feature(
    features: Sequence[int],
    columns: list[NDArray[np.int32]],
    places: list[NDArray[np.int32]],
    values: list[NDArray[np.float32]],
) -> dict[int, Firings]:
    if not columns:
        return {
            feature: Firings(np.empty(0, np.int32), np.empty(0, np.float32)) for feature in features
        }
    column, place, value = np.concatenate(columns), np.concatenate(places), np.concatenate(values)
    order = np.lexsort((place, column))
    column, place, value = column[order], place[order], value[order]
    ends = np.searchsorted(column, np.arange(len(features) + 1))
    return {
        feature: Firings(place[begin:end], value[begin:end])
        for feature, begin, end in zip(features, ends[:-1], ends[1:], strict=True)
    }
