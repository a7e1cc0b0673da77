"""What was measured, as a table in the terminal, `bench.json` and the README's block."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
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
KEPT = ROOT / "runs" / "bench"
"""Where what each benchmark measured lies: all of them take long, and one may be made again."""
BLOCK = ("bench", "make bench")


def show(rows: Sequence[BenchRow], console: Console) -> None:
    """Print the table."""
    shown = Table("row", "value", "target", "unit", "met", box=None)
    for row in rows:
        shown.add_row(*_cells(row))
    console.print(shown)


def keep(name: str, rows: Sequence[BenchRow], profile: str = "") -> None:
    """Remember what a benchmark measured.

    Args:
        name: of the benchmark.
        rows: its rows.
        profile: where the time of a harvest goes, in words, if that was measured with it.
    """
    KEPT.mkdir(parents=True, exist_ok=True)
    content = {"rows": [asdict(row) for row in rows], "profile": profile}
    (KEPT / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def write(names: Iterable[str]) -> list[str]:
    """Write both files from what the benchmarks of these names measured last.

    Returns:
        Those that were never measured; then nothing is written.
    """
    paths = [KEPT / f"{name}.json" for name in names]
    if missing := [path.stem for path in paths if not path.exists()]:
        return missing
    measured = [json.loads(path.read_text()) for path in paths]
    rows = [BenchRow(**row) for each in measured for row in each["rows"]]
    profile = " ".join([machine(), *(each["profile"] for each in measured if each["profile"])])
    RESULTS.write_text(json.dumps([_as_json(row) for row in rows], indent=1) + "\n")
    body = "\n".join([table(["", "value", "target"], _lines(rows)), "", profile])
    README.write_text(with_block(README.read_text(encoding="utf-8"), *BLOCK, body))
    return []


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
