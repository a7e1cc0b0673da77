"""`saesage history`: the checkpoints of a feature."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphs.steering.history import HistoryEntry
from graphs.terminal.show import print_json


def print_history(entries: Sequence[HistoryEntry], *, as_json: bool) -> None:
    """A line for each checkpoint; its step is what `--at` takes."""
    console = Console(highlight=False)
    if as_json:
        print_json(console, [{**e._asdict(), "when": f"{e.when.isoformat()}Z"} for e in entries])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("step", justify="right")
    table.add_column("round", justify="right")
    table.add_column("node", no_wrap=True)
    table.add_column("UTC", no_wrap=True)
    table.add_column("what changed", ratio=1, overflow="fold")
    for entry in entries:
        table.add_row(
            str(entry.step),
            str(entry.round),
            entry.node or "",
            f"{entry.when:%H:%M:%S}",
            Text("; ".join(entry.changes)),
        )
    console.print(table)
    console.print(Text("--at takes a step, or a checkpoint's id as history --json has it", "dim"))
