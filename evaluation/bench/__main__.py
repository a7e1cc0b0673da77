"""Run every benchmark, print the table, and write `bench.json`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from evaluation.bench.rows import BenchRow
from evaluation.bench.startup import startup_rows

RESULTS = Path("bench.json")


def main() -> None:
    """Measure, print and write."""
    rows = startup_rows()
    table = Table("row", "value", "target", "unit", "met", box=None)
    for row in rows:
        met = "yes" if row.met else "NO"
        table.add_row(row.row, f"{row.value:.3g}", f"<= {row.target:g}", row.unit, met)
    Console().print(table)
    RESULTS.write_text(json.dumps([_as_json(row) for row in rows], indent=2) + "\n")


def _as_json(row: BenchRow) -> dict[str, object]:
    return {**asdict(row), "met": row.met}


if __name__ == "__main__":
    main()
