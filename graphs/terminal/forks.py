"""An investigation and its forks, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphs.findings import Findings, Row, Snapshot
from graphs.records import ForkedFrom
from graphs.runs import Run, RunStore
from graphs.steering.wording import in_words
from tools.database import Database

BESIDE = 3
"""Investigations side by side; of more, each further table begins with the original again."""


class Member(NamedTuple):
    """One of the investigations that are compared."""

    run: Run
    found: Snapshot
    scores: list[Row]
    """Metric and value, of the explanation that the investigation came to."""

    def to_json(self) -> dict[str, Any]:
        """What is compared, for scripts."""
        row, origin = self.found.feature, self.run.forked_from
        return {
            "run": self.run.name,
            "forked_from": None if origin is None else origin.model_dump(mode="json"),
            "status": row["status"],
            "description": row["description"],
            "confidence": row["confidence"],
            "hypotheses": {h["id"]: h["status"] for h in self.found.hypotheses},
            "scores": {f"{s['metric']}/{s['judge']}": s["value"] for s in self.scores},
        }


def family(database: Database, run: Run, feature: int) -> list[Member]:
    """The original and every fork of a feature, oldest first; the original alone has none."""
    store, findings = RunStore(database), Findings(database)
    runs = [store.named(run.root), *store.forks(run, feature)]
    return [
        Member(each, findings.snapshot(each, feature), _scores(database, each, feature))
        for each in runs
    ]


def print_family(console: Console, members: Sequence[Member]) -> None:
    """A column for each: where it began, what it found, every hypothesis with its verdict."""
    original, *forks = members
    for start in range(0, len(forks), BESIDE - 1):
        console.print()
        console.print(_table([original, *forks[start : start + BESIDE - 1]]))


def _table(members: Sequence[Member]) -> Table:
    table = Table(header_style="bold", show_lines=True, expand=True)
    table.add_column("")
    for member in members:
        table.add_column(Text(_name(member.run)), ratio=1, overflow="fold")
    rows = [member.found.feature for member in members]
    table.add_row("forked", *(_origin(member.run) for member in members))
    table.add_row("status", *(Text(_status(row)) for row in rows))
    table.add_row("explanation", *(Text(row["description"] or "none") for row in rows))
    table.add_row("hypotheses", *(_verdicts(member.found.hypotheses) for member in members))
    table.add_row("tests", *(str(len(member.found.experiments)) for member in members))
    if any(member.scores for member in members):
        table.add_row("scores", *(_listed(member.scores) for member in members))
    return table


def _name(run: Run) -> str:
    return "original" if run.forked_from is None else run.short_name


def _origin(run: Run) -> Text:
    origin: ForkedFrom | None = run.forked_from
    if origin is None:
        return Text("")
    parent = origin.thread.rpartition("/")[0]
    of = f"off {parent.rpartition('~')[2]}" if "~" in parent else "off the original"
    lines = [f"{of} at {origin.checkpoint}", *origin.settings, *in_words(origin.edits)]
    return Text("\n".join(lines))


def _status(row: Row) -> str:
    if row["confidence"] is None:
        return str(row["status"])
    return f"{row['status']}, confidence {row['confidence']:.2f}"


def _verdicts(hypotheses: Sequence[Row]) -> Text:
    return Text("\n".join(f"{h['id']} {h['status']}: {h['statement']}" for h in hypotheses))


def _listed(scores: Sequence[Row]) -> Text:
    return Text("\n".join(f"{s['metric']} {_value(s)} ({s['judge']})" for s in scores))


def _value(score: Row) -> str:
    return "none" if score["value"] is None else f"{score['value']:.2f}"


def _scores(database: Database, run: Run, feature: int) -> list[Row]:
    """The scores of the explanation itself, if the database was ever evaluated."""
    tables = "SELECT 1 FROM information_schema.tables WHERE table_name = 'scores'"
    if not database.rows(tables):
        return []
    return database.records(
        "SELECT metric, judge, value FROM scores WHERE run = ? AND feature = ? "
        "AND explainer = 'agentic' ORDER BY metric, judge",
        [run.name, feature],
    )
