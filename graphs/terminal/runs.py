"""`saesage runs`: what a database holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphs.config import ROLES
from graphs.findings import Findings
from graphs.runs import Run, RunStore
from graphs.terminal.show import print_json
from graphs.terminal.spending import Row, calls, dollars
from tools.database import Database

WIDE = 110
"""Columns from which everything fits beside each other."""
LEFT_OUT = ("passes", "calls", "usd")
"""Columns that a narrower terminal goes without."""


def print_runs(database: Database, *, as_json: bool) -> None:
    """Each run and fork with its model, counts by status, experiments and time."""
    console = Console(highlight=False)
    findings = Findings(database)
    rows = [_row(run, findings.features(run)) for run in RunStore(database).all()]
    if as_json:
        print_json(console, rows)
    elif not rows:
        console.print("no runs yet; start one with `saesage explain CONFIG`.")
    else:
        console.print(_table(rows, wide=console.width >= WIDE))


def _row(run: Run, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "run": run.name,
        "forked_from": None if run.forked_from is None else run.forked_from.thread,
        "model": run.config.subject.name,
        "policy": _policies(run),
        "features": dict(Counter(row["status"] for row in rows)),
        "tests": sum(row["n_experiments"] for row in rows),
        "passes": sum(row["forward_passes"] or 0 for row in rows),
        "calls": calls(rows),
        "usd": dollars(rows),
        "seconds": round(sum(row["seconds"] or 0 for row in rows), 1),
    }


def _table(rows: Sequence[Row], *, wide: bool) -> Table:
    names = [name for name in rows[0] if wide or name not in LEFT_OUT]
    names.remove("forked_from")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        number = name in ("tests", "seconds", *LEFT_OUT)
        # A name of a run is there to be copied.
        table.add_column(
            name,
            justify="right" if number else "left",
            no_wrap=name == "run" or number,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(_cell(row[name], wide=wide)) for name in names))
    return table


def _cell(value: object, *, wide: bool) -> str:
    if isinstance(value, dict):
        counts = cast("dict[str, int]", value)
        return ", ".join(f"{n} {status}" for status, n in counts.items()) or "not planned yet"
    # Where room is short, of an import path what it names.
    return str(value) if wide else str(value).rpartition(":")[2]


def _policies(run: Run) -> str:
    names = sorted({run.config.policy_of(role) for role in ROLES})
    asked = run.config.llm.models if run.config.llm and names != ["symbolic"] else ()
    return ", ".join((*names, *asked))
