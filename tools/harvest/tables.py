"""Harvested features as Arrow tables, the quick way into DuckDB."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from tools.exemplars import BANDS, SPLITS
from tools.harvest.harvest import Harvest
from tools.harvest.kept import KeptFeatures
from tools.harvest.layout import SampleLayout

Columns = dict[str, Any]
"""Column name to a list, a numpy or an Arrow array."""

Numbers = NDArray[Any]

_NONE = np.empty(0, np.int32)


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

    def __init__(self, connection: duckdb.DuckDBPyConnection, key: str, harvested: Harvest) -> None:
        """Learn which windows and tokens the tables have.

        Args:
            connection: inside a transaction.
            key: of the harvest.
            harvested: what was measured.
        """
        self._connection = connection
        self._key = key
        self._harvested = harvested
        self._windows = self._known("SELECT number FROM harvest_windows")
        self._tokens = self._known("SELECT token_id FROM harvest_tokens")

    def add_common_text(self) -> None:
        """Store the windows that the census is of, unless they are stored already."""
        if self._known("SELECT len(windows) FROM harvest_census"):
            return
        common = self._harvested.common_text
        columns = {
            "windows": _lists(np.array([0, len(common.windows)]), common.windows.astype(np.int32)),
            "n_proposed": np.array([common.n_proposed], np.int32),
        }
        self._insert("harvest_census", columns)
        self._add_windows(common.windows)

    def add(self, kept: KeptFeatures) -> None:
        """Store features, none of which is stored already."""
        layout = self._harvested.layout
        self._add_windows(kept.choice.windows)
        self._add_tokens(layout.distinct[kept.tokens.codes])
        self._insert("feature_exemplars", _exemplar_columns(kept))
        self._insert("feature_tokens", _token_columns(kept, layout))
        self._insert("feature_census", _census_columns(kept))
        self._insert("feature_statistics", _statistic_columns(kept, layout))
        self._insert("feature_histograms", _histogram_columns(kept))

    def _add_windows(self, numbers: Numbers) -> None:
        new = self._new(numbers, self._windows)
        windows = [self._harvested.sample.windows[int(number)] for number in new]
        ids = [np.array(window.token_ids, np.int32) for window in windows]
        every = np.concatenate([_NONE, *ids])
        columns = {
            "number": new.astype(np.int32),
            "document": [window.document for window in windows],
            "position": np.array([window.position for window in windows], np.int64),
            "token_ids": _lists(np.cumsum([0, *map(len, ids)]), every),
        }
        self._insert("harvest_windows", columns)
        self._add_tokens(every)

    def _add_tokens(self, token_ids: Numbers) -> None:
        new = self._new(token_ids, self._tokens)
        surfaces = [self._harvested.surfaces[int(token_id)] for token_id in new]
        tokens = _arrow().array(surfaces, _arrow().string())
        self._insert("harvest_tokens", {"token_id": new.astype(np.int32), "token": tokens})

    def _new(self, numbers: Numbers, known: set[int]) -> Numbers:
        """Those not known yet, ascending; from now on they are."""
        found: set[int] = set(np.unique(numbers).tolist())
        new = sorted(found - known)
        known.update(new)
        return np.array(new, np.int64)

    def _known(self, query: str) -> set[int]:
        found = self._connection.execute(f"{query} WHERE harvest = ?", [self._key])
        return {number for (number,) in found.fetchall()}

    def _insert(self, table: str, columns: Columns) -> None:
        _insert(self._connection, table, self._key, columns)


def _exemplar_columns(kept: KeptFeatures) -> Columns:
    """A row for each feature and split of which there is some window."""
    choice = kept.choice
    groups, begins = np.unique(choice.groups, return_index=True)
    bounds = np.append(begins, len(choice.groups))
    fired = np.append(0, kept.ends)
    n_before = np.repeat(fired[begins], np.diff(bounds))
    bands = np.array(BANDS, np.object_)[choice.bands]
    return {
        "feature": np.array(kept.features, np.int32)[groups // len(SPLITS)],
        "split": np.array(SPLITS, np.object_)[groups % len(SPLITS)],
        "bands": _lists(bounds, bands),
        "windows": _lists(bounds, choice.windows.astype(np.int32)),
        "ends": _lists(bounds, (kept.ends - n_before).astype(np.int32)),
        "places": _lists(fired[bounds], kept.places),
        "activations": _lists(fired[bounds], kept.activations),
    }


def _token_columns(kept: KeptFeatures, layout: SampleLayout) -> Columns:
    sums = kept.tokens
    bounds = np.searchsorted(sums.owners, np.arange(len(kept.features) + 1))
    n_present = layout.n_proposed[sums.codes]
    return {
        "feature": np.array(kept.features, np.int32),
        "token_ids": _lists(bounds, layout.distinct[sums.codes].astype(np.int32)),
        "n_present": _lists(bounds, n_present),
        "n_active": _lists(bounds, sums.counts),
        "mean_activations": _lists(bounds, (sums.sums / n_present).astype(np.float32)),
        "total": sums.totals,
    }


def _census_columns(kept: KeptFeatures) -> Columns:
    counted = kept.counted
    gaps = np.diff(counted.places, prepend=np.int32(0))
    firsts = counted.bounds[:-1][np.diff(counted.bounds) > 0]
    gaps[firsts] = counted.places[firsts]
    return {
        "feature": np.array(kept.features, np.int32),
        "n_windows": counted.n_windows.astype(np.int32),
        "gaps": _lists(counted.bounds, gaps),
        "levels": _lists(counted.bounds, counted.levels),
    }


def _statistic_columns(kept: KeptFeatures, layout: SampleLayout) -> Columns:
    return {
        "feature": np.array(kept.features, np.int32),
        "n_tokens": np.full(len(kept.features), len(layout.token_ids)),
        **kept.statistics._asdict(),
    }


def _histogram_columns(kept: KeptFeatures) -> Columns:
    counts = kept.histograms.counts
    n_features, n_bins = counts.shape
    bounds = n_bins * np.arange(n_features + 1, dtype=np.int32)
    return {
        "feature": np.array(kept.features, np.int32),
        "highest": kept.histograms.highest,
        "counts": _lists(bounds, counts.ravel()),
    }


def _insert(connection: duckdb.DuckDBPyConnection, table: str, key: str, columns: Columns) -> None:
    connection.register("incoming", _arrow().table(columns))
    try:
        names = ", ".join(columns)
        connection.execute(
            f"INSERT INTO {table} (harvest, {names}) SELECT ?, {names} FROM incoming", [key]
        )
    finally:
        connection.unregister("incoming")


def _lists(bounds: NDArray[Any], flat: NDArray[Any]) -> Any:
    """A list column whose row n holds `flat[bounds[n]:bounds[n + 1]]`."""
    return _arrow().ListArray.from_arrays(bounds.astype(np.int32), _arrow().array(flat))


def _arrow() -> Any:
    # Untyped, and only needed to write: reading a database stays quick to start.
    return import_module("pyarrow")
