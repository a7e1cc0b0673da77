"""Run every benchmark, print the table, and write `bench.json`."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from evaluation.bench.experiments import experiment_rows
from evaluation.bench.harvest import harvest_profile, harvest_rows
from evaluation.bench.language_model import language_model_rows
from evaluation.bench.rows import BenchRow
from evaluation.bench.scoring import scoring_rows
from evaluation.bench.startup import startup_rows
from evaluation.bench.storage import storage_rows

RESULTS = Path("bench.json")


def main() -> None:
    """Measure, print and write."""
    rows = [
        *startup_rows(),
        *harvest_rows(),
        *scoring_rows(),
        *language_model_rows(),
        *storage_rows(),
        *experiment_rows(),
    ]
    table = Table("row", "value", "target", "unit", "met", box=None)
    for row in rows:
        met = "yes" if row.met else "NO"
        sign = ">=" if row.more_is_better else "<="
        table.add_row(row.row, f"{row.value:.3g}", f"{sign} {row.target:g}", row.unit, met)
    Console().print(table)
    Console().print(harvest_profile())
    RESULTS.write_text(json.dumps([_as_json(row) for row in rows], indent=2) + "\n")


def _as_json(row: BenchRow) -> dict[str, object]:
    shown = {key: getattr(row, key) for key in ("row", "value", "target", "unit", "met")}
    return {**shown, "more_is_better": row.more_is_better}


if __name__ == "__main__":
    main()
