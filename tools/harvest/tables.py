"""Harvested features as Arrow tables, the quick way into DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from itertools import chain
from typing import Any

import duckdb
import numpy as np

from tools.exemplars import Exemplar
from tools.harvest.harvest import FeatureHarvest

Columns = dict[str, Any]
"""Column name to Arrow array."""


def insert_firings(
    connection: duckdb.DuckDBPyConnection, key: str, n_active_tokens: dict[int, int]
) -> None:
    """Add to `feature_firings` how often each feature fires."""
    columns = {
        "feature": _arrow().array(list(n_active_tokens)),
        "n_active_tokens": _arrow().array(list(n_active_tokens.values())),
    }
    _insert(connection, "feature_firings", key, columns)


def insert_features(
    connection: duckdb.DuckDBPyConnection, key: str, measured: Sequence[FeatureHarvest]
) -> None:
    """Add features to `exemplars`, `token_statistics` and `feature_statistics`."""
    exemplars = [exemplar for item in measured for exemplar in item.exemplars]
    _insert(connection, "exemplars", key, _exemplar_columns(exemplars))
    _insert(connection, "token_statistics", key, _token_columns(measured))
    statistics = [item.statistics for item in measured]
    names = ("feature", "n_tokens", "n_active_tokens", "n_active_windows")
    names += ("max_activation", "scale")
    _insert(connection, "feature_statistics", key, _plain_columns(statistics, names))


def _insert(connection: duckdb.DuckDBPyConnection, table: str, key: str, columns: Columns) -> None:
    connection.register("incoming", _arrow().table(columns))
    try:
        names = ", ".join(columns)
        connection.execute(
            f"INSERT INTO {table} (harvest, {names}) SELECT ?, {names} FROM incoming", [key]
        )
    finally:
        connection.unregister("incoming")


def _exemplar_columns(exemplars: Sequence[Exemplar]) -> Columns:
    arrow = _arrow()
    offsets = np.cumsum([0, *(len(item.token_ids) for item in exemplars)], dtype=np.int32)
    ids = np.fromiter(chain.from_iterable(item.token_ids for item in exemplars), np.int32)
    activations = [item.activations for item in exemplars]
    surfaces = list(chain.from_iterable(item.tokens for item in exemplars))
    flat = {
        "token_ids": arrow.array(ids),
        "tokens": arrow.array(surfaces, arrow.string()),
        "activations": arrow.array(np.concatenate(activations) if activations else []),
    }
    names = ("feature", "id", "split", "band", "rank", "document", "position")
    names += ("max_activation", "peak")
    lists = {name: arrow.ListArray.from_arrays(offsets, values) for name, values in flat.items()}
    return _plain_columns(exemplars, names) | lists


def _token_columns(measured: Sequence[FeatureHarvest]) -> Columns:
    rows = [row for item in measured for row in item.token_table]
    features = [item.statistics.feature for item in measured for _ in item.token_table]
    ranks = [rank for item in measured for rank, _ in enumerate(item.token_table, start=1)]
    names = ("token_id", "token", "n_present", "n_active", "mean_activation", "share")
    plain = _plain_columns(rows, names)
    return {"feature": _arrow().array(features), "rank": _arrow().array(ranks)} | plain


def _plain_columns(records: Iterable[object], names: Iterable[str]) -> Columns:
    rows = list(records)
    return {name: _arrow().array([getattr(row, name) for row in rows]) for name in names}


def _arrow() -> Any:
    # Untyped, and only needed to write: reading a database stays quick to start.
    return import_module("pyarrow")
