"""The one pass over a sample: every window goes through the subject once, block by block.

Only activations above zero are kept: SAE activations are mostly zero, and a dense table of every
feature would not fit in memory. While a batch is run, the one before it is put in order.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tools.activations import Fired, FiringSource, Subject, lanes_of
from tools.errors import ActivationNotFinite, OutOfMemory
from tools.harvest.ahead import n_processors
from tools.harvest.batch_size import BatchSize
from tools.harvest.blocks import Block, Shelf, Span, sort_firings
from tools.harvest.firing_table import FiringTable
from tools.harvest.layout import SampleLayout
from tools.harvest.sampling import CorpusSample

Progress = Callable[[int, int], None]
"""Called with the tokens done so far and the tokens in all."""

_QUEUED = 2
"""Batches that may wait to be put in order: more would only take memory."""

_AHEAD = n_processors() + 1
"""Batches that are run, or wait to be, at a time."""

_Part = tuple[Sequence[int], NDArray[np.int32], Fired]
"""Windows, which of the features were looked at on them, and what fires."""


@dataclass(eq=False)
class CorpusPass:
    """One pass of some features over a sample."""

    subject: Subject | FiringSource
    sample: CorpusSample
    layout: SampleLayout
    features: Sequence[int]
    """Distinct feature ids."""
    shelf: Shelf
    batch: BatchSize
    progress: Progress | None = None
    _failures: dict[int, ActivationNotFinite] = field(
        init=False, default_factory=dict[int, ActivationNotFinite]
    )
    """Features and where they first failed, in the order of the batches."""
    _bad: set[int] = field(init=False, default_factory=set[int])
    """The same features, as soon as any thread knows of them."""
    _done: int = field(init=False, default=0)

    def run(self, spans: Sequence[Span]) -> FiringTable:
        """Measure the spans that the shelf does not hold yet.

        Args:
            spans: consecutive ones, which together are all windows of the sample.

        Raises:
            FeatureOutOfRange: a feature id is not one of the SAE's latents.
            ActivationNotFinite: the model gives NaN or an infinity, or every feature does.
            OutOfMemory: a single window does not fit the memory.
            DatabaseFull: the disk is full.
        """
        blocks: list[Future[Block]] = []
        with ThreadPoolExecutor(1, "harvest") as worker, lanes_of(self.subject) as lanes:
            for span in spans:
                found = self.shelf.find(span)
                if found is None:
                    blocks.append(self._measure(span, worker, lanes))
                else:
                    texts = found.failures.items()
                    self._note({item: ActivationNotFinite(text, item) for item, text in texts})
                    blocks.append(Future())
                    blocks[-1].set_result(found)
                    self._advance(int(np.diff(self.layout.starts[list(span)])[0]))
            finished = [block.result() for block in blocks]
        return FiringTable(self.features, finished)

    def _measure(self, span: Span, worker: Executor, lanes: Executor) -> Future[Block]:
        """Run the windows of a span; the block is put in order and finished by the worker."""
        added: list[Future[None]] = []
        block = _OpenBlock(span, self.layout, len(self.features))
        batches = _batches(np.diff(self.layout.starts), span, self.batch)
        for found in _run_ahead(self._run, batches, lanes):
            for part, columns, fired in found:
                self._note(fired.failures)
                added.append(worker.submit(block.add, part, columns, fired))
                if len(added) > _QUEUED:
                    added[-1 - _QUEUED].result()
                self._advance(sum(len(self.sample.windows[index].token_ids) for index in part))
        failures = {feature: str(error) for feature, error in self._failures.items()}
        failed = tuple(n for n, item in enumerate(self.features) if item in self._failures)
        return worker.submit(block.finish, added, self.shelf, failures, failed)

    def _run(self, windows: Sequence[int]) -> list[_Part]:
        """Run windows as one batch, or as several where that does not fit the memory."""
        ids = [self.sample.windows[index].token_ids for index in windows]
        started = time.perf_counter()
        try:
            columns, fired = self._fire(ids)
        except OutOfMemory as error:
            self.batch.halve(len(windows), error)
            half = len(windows) // 2
            return [*self._run(windows[:half]), *self._run(windows[half:])]
        self.batch.took(sum(map(len, ids)), time.perf_counter() - started)
        return [(windows, columns, fired)]

    def _fire(self, ids: Sequence[Sequence[int]]) -> tuple[NDArray[np.int32], Fired]:
        """What fires on a batch, of the features that are not known to be bad."""
        raised: dict[int, ActivationNotFinite] = {}
        while True:
            columns = [n for n, item in enumerate(self.features) if item not in self._bad]
            asked = [self.features[column] for column in columns]
            try:
                fired = _fired(self.subject, ids, asked)
            except ActivationNotFinite as error:
                if error.feature is None or asked == [error.feature]:
                    raise
                raised[error.feature] = error
                self._bad.add(error.feature)
                continue
            self._bad.update(fired.failures)
            return np.array(columns, np.int32), replace(
                fired, failures={**raised, **fired.failures}
            )

    def _note(self, failures: Mapping[int, ActivationNotFinite]) -> None:
        """Remember where each feature first failed.

        Raises:
            ActivationNotFinite: no feature is left.
        """
        self._failures = {**failures, **self._failures}
        self._bad.update(failures)
        if failures and len(self._failures) == len(self.features):
            raise next(iter(failures.values()))

    def _advance(self, n_tokens: int) -> None:
        self._done += n_tokens
        if self.progress is not None:
            self.progress(self._done, len(self.layout.token_ids))


class _OpenBlock:
    """The firings of a span, batch by batch, until all its windows are measured."""

    def __init__(self, span: Span, layout: SampleLayout, n_features: int) -> None:
        self._span = span
        self._layout = layout
        self._n_features = n_features
        self._columns: list[NDArray[np.int32]] = []
        self._places: list[NDArray[np.int32]] = []
        self._values: list[NDArray[np.float32]] = []

    def add(self, windows: Sequence[int], columns: NDArray[np.int32], fired: Fired) -> None:
        """Take what fired on some windows; `columns`: the feature behind each of its columns."""
        starts = self._layout.starts
        tokens: list[NDArray[np.int32]] = [
            np.arange(starts[index], starts[index + 1], dtype=np.int32) for index in windows
        ]
        self._columns.append(columns[fired.columns])
        self._places.append(np.concatenate(tokens)[fired.rows])
        self._values.append(fired.values)

    def finish(
        self,
        added: Sequence[Future[None]],
        shelf: Shelf,
        failures: dict[int, str],
        failed: Sequence[int],
    ) -> Block:
        """Sort by feature and put on the shelf, without the columns that failed.

        Raises:
            DatabaseFull: the disk is full.
        """
        for addition in added:
            # Whatever went wrong there must not leave a block that looks whole.
            addition.result()
        if failed:
            self._drop(failed)
        runs = sort_firings(
            self._columns,
            self._places,
            self._values,
            self._n_features,
            len(self._layout.token_ids),
        )
        return shelf.put(self._span, runs, failures)

    def _drop(self, failed: Sequence[int]) -> None:
        for number, columns in enumerate(self._columns):
            kept = ~np.isin(columns, failed)
            self._columns[number] = columns[kept]
            self._places[number] = self._places[number][kept]
            self._values[number] = self._values[number][kept]


def _run_ahead(
    run: Callable[[Sequence[int]], list[_Part]], batches: Iterator[Sequence[int]], lanes: Executor
) -> Iterator[list[_Part]]:
    """What `run` finds on each batch, in their order; a batch is cut when its turn comes."""
    pending: deque[Future[list[_Part]]] = deque()
    try:
        while True:
            wanted = islice(batches, _AHEAD - len(pending))
            pending.extend(lanes.submit(run, batch) for batch in wanted)
            if not pending:
                return
            yield pending.popleft().result()
    finally:
        for each in pending:
            each.cancel()


def _fired(
    subject: Subject | FiringSource, ids: Sequence[Sequence[int]], features: Sequence[int]
) -> Fired:
    if isinstance(subject, FiringSource):
        return subject.firing_windows(ids, features)
    dense = np.concatenate(subject.encode_windows(ids, features))
    places = np.flatnonzero(dense > 0)
    rows, columns = np.divmod(places, max(1, len(features)))
    return Fired(rows, columns, dense.reshape(-1)[places], {})


def _batches(lengths: NDArray[np.int64], span: Span, batch: BatchSize) -> Iterator[list[int]]:
    """Windows of one length together: nothing is padded, and no window depends on the others."""
    of_span = lengths[span.first : span.end]
    for length in np.unique(of_span)[::-1]:
        alike: list[int] = (np.flatnonzero(of_span == length) + span.first).tolist()
        start = 0
        while start < len(alike):
            size = max(1, batch.tokens // max(1, int(length)))
            yield alike[start : start + size]
            start += size
