"""What was measured, as a table in the terminal, `bench.json` and the README's block."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from evaluation.bench.rows import BenchRow
from evaluation.comparison.tables import table
from evaluation.readme_blocks import with_block

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench.json"
README = ROOT / "README.md"
BLOCK = ("bench", "make bench")


def show(rows: Sequence[BenchRow], console: Console) -> None:
    """Print the table."""
    shown = Table("row", "value", "target", "unit", "met", box=None)
    for row in rows:
        shown.add_row(*_cells(row))
    console.print(shown)


def write(rows: Sequence[BenchRow], profile: str) -> None:
    """Write both files.

    Args:
        rows: of all benchmarks.
        profile: where the time of a harvest goes, in words.
    """
    RESULTS.write_text(json.dumps([_as_json(row) for row in rows], indent=1) + "\n")
    body = "\n".join([table(["", "value", "target"], _lines(rows)), "", f"{machine()} {profile}"])
    README.write_text(with_block(README.read_text(encoding="utf-8"), *BLOCK, body))


def machine() -> str:
    """What the figures were measured on."""
    models = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    name = models[0] if models else "unknown processor"
    return f"Measured on {len(os.sched_getaffinity(0))} cores ({name}), torch {version('torch')}."


def _cells(row: BenchRow) -> list[str]:
    met = "" if row.target is None else "yes" if row.met else "NO"
    return [row.row, f"{row.value:.3g}", row.shown_target, row.unit, met]


def _lines(rows: Sequence[BenchRow]) -> list[list[str]]:
    return [
        [
            row.row,
            f"{row.value:.3g} {row.unit}",
            row.shown_target + ("" if row.met else " (missed)"),
        ]
        for row in rows
    ]


def _as_json(row: BenchRow) -> dict[str, object]:
    return {key: getattr(row, key) for key in ("row", "value", "target", "unit", "met")}
