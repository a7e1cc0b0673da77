"""Every score of several databases in one Parquet file, for who wants to compute otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb


def write_scores(databases: Sequence[Path], out: Path) -> None:
    """Write the raw rows, one per feature, explainer, metric and judge, with their details.

    Args:
        databases: closed saesage files with scores; the column `subject` has their stems.
        out: the Parquet file.
    """
    with duckdb.connect() as connection:
        for path in databases:
            connection.execute(f'ATTACH {_literal(path)} AS "{path.stem}" (READ_ONLY)')
        parts = [
            f"SELECT '{path.stem}' AS subject, * FROM \"{path.stem}\".scores" for path in databases
        ]
        connection.execute(
            f"COPY ({' UNION ALL '.join(parts)}) TO {_literal(out)} (FORMAT parquet)"
        )


def _literal(path: Path) -> str:
    """A path as SQL writes it; neither ATTACH nor COPY takes parameters."""
    return "'" + str(path).replace("'", "''") + "'"
