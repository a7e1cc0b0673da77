"""Tables of runs and of features."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphs.findings import Findings
from graphs.runs import Run
from graphs.terminal.spending import UNKNOWN, Row, calls, dollars, spending, tokens
from tools.database import Database

_STATUS_STYLE = {
    "explained": "green",
    "undecided": "yellow",
    "budget": "yellow",
    "waiting": "cyan",
    "rejected": "yellow",
    "failed": "red",
    "dead": "dim",
    "too_rare": "dim",
}


_USED: dict[str, Callable[[Sequence[Row]], str]] = {
    "calls": calls,
    "tokens": tokens,
    "usd": dollars,
}
"""What a language model was used, by column."""


def print_features(console: Console, database: Database, run: Run) -> None:
    """Each feature of a run with its status, confidence and explanation."""
    rows = Findings(database).features(run)
    used = _used_columns(rows)
    table = Table(box=None, header_style="bold", pad_edge=False, show_edge=False)
    table.add_column("feature", justify="right")
    table.add_column("status")
    table.add_column("conf.", justify="right")
    table.add_column("tests", justify="right")
    for name in used:
        table.add_column(name, justify="right")
    table.add_column("explanation", overflow="fold", ratio=1)
    for row in rows:
        confidence = "" if row["confidence"] is None else f"{row['confidence']:.2f}"
        table.add_row(
            str(row["feature"]),
            Text(row["status"], _STATUS_STYLE.get(row["status"], "")),
            confidence,
            str(row["n_experiments"]),
            *(_USED[name]([row]) for name in used),
            Text(_words(row)),
        )
    console.print(table)
    if used:
        console.print(Text(f"language model: {spending(rows)}", "dim"))


def _used_columns(rows: Sequence[Row]) -> list[str]:
    """The columns that say something: no calls in a symbolic run, no dollars without prices."""
    if not any(row["llm_calls"] for row in rows):
        return []
    return [name for name in _USED if _USED[name](rows) != UNKNOWN]


def _seen(spaces: re.Match[str]) -> str:
    return spaces[0].replace(" ", "\N{OPEN BOX}")


def _words(row: dict[str, object]) -> str:
    """The explanation, or what was measured in its place."""
    if row["description"] is not None:
        # A token's leading space must be seen, and is no place to break the line.
        return re.sub(r"(?<![^\s(])(['\"]) +", _seen, str(row["description"]))
    if row["status"] == "failed":
        return str(row["failure"])
    if row["stopped"]:
        return str(row["stopped"])
    if row["n_active_tokens"] is not None and row["status"] in ("dead", "too_rare"):
        return f"fires on {row['n_active_tokens']:,} of {row['n_tokens']:,} corpus tokens"
    return ""
