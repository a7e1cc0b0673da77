"""What a person sees while a run goes on."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text


class RateColumn(ProgressColumn):
    """How many a minute, or thousands a second for tokens."""

    def render(self, task: Task) -> Text:
        """The rate so far, or nothing before the first is done."""
        if not task.speed:
            return Text("")
        if task.fields.get("unit") == "tokens":
            return Text(f"{task.speed / 1000:.1f}k tokens/s")
        return Text(f"{60 * task.speed:.1f}/min")


class ProgressReporter:
    """A `graphs.reporter.Reporter` with bars on standard error: standard output is for results."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            RateColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._console = console
        self._harvest = self._progress.add_task("reading corpus", visible=False, unit="tokens")
        self._features = self._progress.add_task("features", visible=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def stage(self, message: str) -> None:
        """One line that stays."""
        self._progress.console.print(f"[dim]{message}[/dim]", highlight=False)

    def harvest(self, done: int, total: int) -> None:
        """Move the corpus bar."""
        self._progress.update(
            self._harvest, completed=done, total=total, visible=done < total, refresh=True
        )

    def features(self, done: int, total: int) -> None:
        """Move the features bar."""
        self._progress.update(self._features, completed=done, total=total, visible=True)
        if not self._console.is_terminal and done:
            # Nobody sees the bar: a log gets a line for each feature.
            self.stage(f"{done} of {total} features")

    def step(self, feature: int, node: str) -> None:
        """Name the feature and step beside the bar: of many at a time, the one that moved last."""
        self._progress.update(self._features, description=f"feature {feature}: {node:<19}")
