"""Harvested features as Arrow tables, the quick way into DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from itertools import groupby
from operator import attrgetter
from typing import Any

import duckdb
import numpy as np
from numpy.typing import DTypeLike, NDArray

from tools.exemplars import Exemplar
from tools.harvest.harvest import FeatureHarvest
from tools.harvest.sampling import CorpusSample, Window

Columns = dict[str, Any]
"""Column name to Arrow array."""

_STATISTICS = (
    "feature",
    "n_tokens",
    "n_active_tokens",
    "n_active_windows",
    "max_activation",
    "scale",
)
_TOKEN_LISTS: Mapping[str, tuple[str, DTypeLike]] = {
    "token_ids": ("token_id", np.int32),
    "n_present": ("n_present", np.int64),
    "n_active": ("n_active", np.int64),
    "mean_activations": ("mean_activation", np.float32),
    "shares": ("share", np.float32),
}
"""Columns of `feature_tokens`, what they list of each token, and as what."""


def insert_firings(
    connection: duckdb.DuckDBPyConnection, key: str, n_active_tokens: dict[int, int]
) -> None:
    """Add to `feature_firings` how often each feature fires."""
    columns = {
        "feature": _arrow().array(list(n_active_tokens)),
        "n_active_tokens": _arrow().array(list(n_active_tokens.values())),
    }
    _insert(connection, "feature_firings", key, columns)


class FeatureWriter:
    """Adds features to the tables of one harvest, and what they are the first to refer to."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, key: str, sample: CorpusSample
    ) -> None:
        """Learn which windows and tokens the tables have.

        Args:
            connection: inside a transaction.
            key: of the harvest.
            sample: of which its windows are.
        """
        self._connection = connection
        self._key = key
        self._sample = sample
        self._numbers = {_identity(window): n for n, window in enumerate(sample.windows)}
        self._windows = self._known("SELECT number FROM harvest_windows")
        self._tokens = self._known("SELECT token_id FROM harvest_tokens")

    def add(self, measured: Sequence[FeatureHarvest]) -> None:
        """Store features, none of which is stored already."""
        exemplars = [exemplar for item in measured for exemplar in item.exemplars]
        self._add_windows(exemplars)
        self._add_tokens(measured)
        groups = [
            list(group)
            for item in measured
            for _, group in groupby(item.exemplars, attrgetter("split"))
        ]
        self._insert("feature_exemplars", self._exemplar_columns(groups))
        self._insert("feature_tokens", _token_columns(measured))
        statistics = _plain_columns([item.statistics for item in measured], _STATISTICS)
        self._insert("feature_statistics", statistics)

    def _add_windows(self, exemplars: Iterable[Exemplar]) -> None:
        new = sorted({self._number(exemplar) for exemplar in exemplars} - self._windows)
        self._windows.update(new)
        windows = [self._sample.windows[number] for number in new]
        ids = [np.array(window.token_ids, np.int32) for window in windows]
        columns = {"number": _arrow().array(new, _arrow().int32()), "token_ids": _lists(ids)}
        self._insert("harvest_windows", _plain_columns(windows, ("document", "position")) | columns)

    def _add_tokens(self, measured: Iterable[FeatureHarvest]) -> None:
        surfaces: dict[int, str] = {}
        for item in measured:
            surfaces |= {row.token_id: row.token for row in item.token_table}
            for exemplar in item.exemplars:
                surfaces.update(zip(exemplar.token_ids, exemplar.tokens, strict=True))
        new = sorted(surfaces.keys() - self._tokens)
        self._tokens.update(new)
        arrow = _arrow()
        tokens = arrow.array([surfaces[token_id] for token_id in new], arrow.string())
        self._insert(
            "harvest_tokens", {"token_id": arrow.array(new, arrow.int32()), "token": tokens}
        )

    def _exemplar_columns(self, groups: Sequence[Sequence[Exemplar]]) -> Columns:
        fired = [[np.flatnonzero(item.activations) for item in group] for group in groups]
        values = [
            _joined(
                [item.activations[where] for item, where in zip(group, places, strict=True)],
                np.float32,
            )
            for group, places in zip(groups, fired, strict=True)
        ]
        numbers = [np.array([self._number(item) for item in group], np.int32) for group in groups]
        ends = [np.cumsum([len(where) for where in places], dtype=np.int32) for places in fired]
        bands = [np.array([item.band for item in group], np.object_) for group in groups]
        return _plain_columns([group[0] for group in groups], ("feature", "split")) | {
            "bands": _lists(bands),
            "windows": _lists(numbers),
            "ends": _lists(ends),
            "places": _lists([_joined(places, np.int32) for places in fired]),
            "activations": _lists(values),
        }

    def _number(self, exemplar: Exemplar) -> int:
        return self._numbers[_identity(exemplar)]

    def _known(self, query: str) -> set[int]:
        found = self._connection.execute(f"{query} WHERE harvest = ?", [self._key])
        return {number for (number,) in found.fetchall()}

    def _insert(self, table: str, columns: Columns) -> None:
        _insert(self._connection, table, self._key, columns)


def _identity(window: Window | Exemplar) -> tuple[str, int, tuple[int, ...]]:
    return window.document, window.position, window.token_ids


def _token_columns(measured: Sequence[FeatureHarvest]) -> Columns:
    lists = {
        column: _lists(
            [np.array([getattr(row, name) for row in item.token_table], kind) for item in measured]
        )
        for column, (name, kind) in _TOKEN_LISTS.items()
    }
    return _plain_columns([item.statistics for item in measured], ("feature",)) | lists


def _insert(connection: duckdb.DuckDBPyConnection, table: str, key: str, columns: Columns) -> None:
    connection.register("incoming", _arrow().table(columns))
    try:
        names = ", ".join(columns)
        connection.execute(
            f"INSERT INTO {table} (harvest, {names}) SELECT ?, {names} FROM incoming", [key]
        )
    finally:
        connection.unregister("incoming")


def _plain_columns(records: Iterable[object], names: Iterable[str]) -> Columns:
    rows = list(records)
    return {name: _arrow().array([getattr(row, name) for row in rows]) for name in names}


def _lists(arrays: Sequence[NDArray[Any]]) -> Any:
    """A list column of one row for each array."""
    offsets = np.cumsum([0, *(len(array) for array in arrays)], dtype=np.int32)
    flat = np.concatenate(arrays) if arrays else np.empty(0, np.int32)
    return _arrow().ListArray.from_arrays(offsets, _arrow().array(flat))


def _joined(arrays: Sequence[NDArray[Any]], kind: DTypeLike) -> NDArray[Any]:
    return np.concatenate(arrays).astype(kind, copy=False)


def _arrow() -> Any:
    # Untyped, and only needed to write: reading a database stays quick to start.
    return import_module("pyarrow")
