"""Where features fire on a run of windows, sorted by feature: in memory, or as a file.

Files make a pass over a large corpus fit in memory, and let a killed one go on.
"""

# pyright: reportUnknownVariableType=false
# (safetensors' stubs leave a type parameter open.)

from __future__ import annotations

import errno
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tools.errors import DatabaseFull


class Span(NamedTuple):
    """Consecutive windows of a sample."""

    first: int
    end: int
    """The first window behind it."""


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The firings of consecutive features, one after the other."""

    begins: NDArray[np.int64]
    """Shape (n_features + 1,): where the firings of each feature begin, from 0."""
    places: NDArray[np.int32]
    """Shape (n_firings,): tokens of the sample, ascending within a feature."""
    values: NDArray[np.float32]
    """Shape (n_firings,): activations there, above zero."""


class Block(Protocol):
    """What a pass found on one span of windows."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """Firings of each feature; shape (n_features,)."""
        ...

    @property
    def failures(self) -> Mapping[int, str]:
        """Features that gave NaN or an infinity, and the message that says where."""
        ...

    def read(self, first: int, end: int) -> Runs:
        """The firings of features number `first` to `end` - 1 of those asked for."""
        ...


class Shelf(Protocol):
    """Where finished blocks are put."""

    def find(self, span: Span) -> Block | None:
        """The block of a span, if an earlier pass finished it."""
        ...

    def put(self, span: Span, runs: Runs, failures: Mapping[int, str]) -> Block:
        """Keep what was found on a span."""
        ...


def sort_firings(
    columns: Sequence[NDArray[np.int32]],
    places: Sequence[NDArray[np.int32]],
    values: Sequence[NDArray[np.float32]],
    n_features: int,
    n_tokens: int,
) -> Runs:
    """Put firings in the order of feature and place.

    Args:
        columns: number of the feature, batch by batch.
        places: token of the sample, below `n_tokens`.
        values: activations.
        n_features: how many features there are.
        n_tokens: tokens of the sample.
    """
    keys = np.concatenate([np.empty(0, np.int64), *columns]) * n_tokens
    keys += np.concatenate([np.empty(0, np.int32), *places])
    order = np.argsort(keys)
    keys = keys[order]
    begins = np.searchsorted(keys, np.arange(n_features + 1, dtype=np.int64) * n_tokens)
    activations = np.concatenate([np.empty(0, np.float32), *values])[order]
    return Runs(begins.astype(np.int64), (keys % n_tokens).astype(np.int32), activations)


@dataclass(frozen=True, slots=True, eq=False)
class MemoryBlock:
    """A Block that is held in memory."""

    runs: Runs
    failures: Mapping[int, str]

    @property
    def counts(self) -> NDArray[np.int64]:
        """See `Block`."""
        return np.diff(self.runs.begins)

    def read(self, first: int, end: int) -> Runs:
        """See `Block`."""
        begins = self.runs.begins[first : end + 1]
        inside = slice(int(begins[0]), int(begins[-1]))
        return Runs(begins - begins[0], self.runs.places[inside], self.runs.values[inside])


@dataclass(frozen=True, slots=True)
class BlockPart:
    """Some columns of another Block, as a Block of their own."""

    block: Block
    columns: range
    """Those that are meant."""
    names: range
    """The features that count as the part's own; in it, the first of them is feature 0."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """See `Block`."""
        return self.block.counts[self.columns.start : self.columns.stop]

    @property
    def failures(self) -> Mapping[int, str]:
        """See `Block`."""
        texts = self.block.failures.items()
        return {item - self.names.start: text for item, text in texts if item in self.names}

    def read(self, first: int, end: int) -> Runs:
        """See `Block`."""
        return self.block.read(self.columns.start + first, self.columns.start + end)


class MemoryShelf:
    """Blocks in memory, for samples that fit there."""

    def find(self, span: Span) -> Block | None:
        """See `Shelf`: nothing is left from earlier passes."""
        del span

    def put(self, span: Span, runs: Runs, failures: Mapping[int, str]) -> Block:
        """See `Shelf`."""
        del span
        return MemoryBlock(runs, failures)


@dataclass(frozen=True, slots=True)
class FileBlock:
    """A Block in a file, of which only what is asked for is read."""

    path: Path

    @property
    def counts(self) -> NDArray[np.int64]:
        """See `Block`."""
        with self._open() as file:
            return np.diff(file.get_tensor("begins"))

    @property
    def failures(self) -> Mapping[int, str]:
        """See `Block`."""
        with self._open() as file:
            texts: dict[str, str] = json.loads(file.metadata()["failures"])
        return {int(feature): text for feature, text in texts.items()}

    def read(self, first: int, end: int) -> Runs:
        """See `Block`."""
        with self._open() as file:
            begins: NDArray[np.int64] = file.get_slice("begins")[first : end + 1]
            if begins[0] == begins[-1]:  # safetensors refuses an empty slice
                return Runs(begins - begins[0], np.empty(0, np.int32), np.empty(0, np.float32))
            inside = slice(int(begins[0]), int(begins[-1]))
            places, values = (file.get_slice(name)[inside] for name in ("places", "values"))
        return Runs(begins - begins[0], places, values)

    def _open(self) -> Any:
        return safe_open(self.path, framework="numpy")


@dataclass(frozen=True, slots=True)
class FolderShelf:
    """Blocks in a folder that belongs to one pass: a file is there whole or not at all."""

    folder: Path

    def find(self, span: Span) -> Block | None:
        """See `Shelf`; a damaged file is deleted."""
        block = FileBlock(self._path(span))
        if not block.path.exists():
            return None
        try:
            # A file cut short does not open: its header says how long it must be.
            block.failures.keys()
        except (SafetensorError, KeyError, ValueError):
            block.path.unlink()
            return None
        return block

    def put(self, span: Span, runs: Runs, failures: Mapping[int, str]) -> Block:
        """See `Shelf`.

        Raises:
            DatabaseFull: the disk is full.
        """
        path = self._path(span)
        part = path.with_suffix(".part")
        arrays = {"begins": runs.begins, "places": runs.places, "values": runs.values}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(arrays, part, metadata={"failures": json.dumps(failures)})
        except (OSError, SafetensorError) as error:
            if getattr(error, "errno", None) == errno.ENOSPC or "os error 28" in str(error):
                raise DatabaseFull(
                    f"the disk that holds {self.folder} is full; free some space and run the same "
                    "command again: it goes on after the last finished block of the corpus."
                ) from error
            raise
        part.replace(path)
        return FileBlock(path)

    def _path(self, span: Span) -> Path:
        return self.folder / f"{span.first}-{span.end}.safetensors"
