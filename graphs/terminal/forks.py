"""An investigation and its forks, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphs.findings import Findings, Row, Snapshot
from graphs.projection import split_thread
from graphs.records import ForkedFrom
from graphs.runs import FORK_MARK, Run, RunStore
from graphs.steering.checkpoints import placed
from graphs.steering.wording import in_words
from tools.database import Database

BESIDE = 3
"""Investigations side by side; of more, each further table begins with the original again."""


CLIPPED = 50
"""Characters of a statement that are shown."""


class Member(NamedTuple):
    """One of the investigations that are compared."""

    run: Run
    found: Snapshot
    step: int | None
    """Of the history of what it was forked off; None for the original."""
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
        Member(
            run=each,
            found=findings.snapshot(each, feature),
            step=_step(database, each.forked_from),
            scores=_scores(database, each, feature),
        )
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
    table.add_row("forked", *(_origin(member) for member in members))
    table.add_row("status", *(Text(_status(row)) for row in rows))
    table.add_row("explanation", *(Text(row["description"] or "none") for row in rows))
    table.add_row("hypotheses", *(_verdicts(member.found.hypotheses) for member in members))
    table.add_row("tests", *(str(len(member.found.experiments)) for member in members))
    if any(member.scores for member in members):
        table.add_row("scores", *(_listed(member.scores) for member in members))
    return table


def _name(run: Run) -> str:
    return "original" if run.forked_from is None else run.short_name


def _origin(member: Member) -> Text:
    origin = member.run.forked_from
    if origin is None:
        return Text("")
    parent, _ = split_thread(origin.thread)
    of = parent.rpartition(FORK_MARK)[2] if FORK_MARK in parent else "the original"
    lines = [f"off {of} at step {member.step}", *origin.settings, *in_words(origin.edits)]
    return Text("\n".join(lines))


def _step(database: Database, origin: ForkedFrom | None) -> int | None:
    if origin is None:
        return None
    steps = {each.checkpoint: each.step for each in placed(database, origin.thread)}
    return steps.get(origin.checkpoint)


def _status(row: Row) -> str:
    if row["confidence"] is None:
        return str(row["status"])
    return f"{row['status']}, confidence {row['confidence']:.2f}"


def _verdicts(hypotheses: Sequence[Row]) -> Text:
    """One line or two for each: `show` has them in full."""
    lines = (f"{h['id']} {h['status']}: {_clipped(h['statement'])}" for h in hypotheses)
    return Text("\n".join(lines))


def _clipped(statement: str) -> str:
    return statement if len(statement) <= CLIPPED else f"{statement[: CLIPPED - 1]}…"


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
