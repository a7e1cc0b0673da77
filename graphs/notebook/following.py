"""A run's steps, told one by one as they are stored."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from graphs.projection import thread_of
from graphs.runs import Run, RunStore
from graphs.steering.checkpoints import placed
from graphs.steering.history import HistoryEntry, history
from tools.database import Database


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the graph for one feature."""

    feature: int
    entry: HistoryEntry
    """Its checkpoint: node, round, and what changed."""

    def __str__(self) -> str:
        """One line, such as `13 · generate_hypotheses: H1, H2, H3, H4 proposed`."""
        changes = "; ".join(self.entry.changes) or "nothing changed"
        return f"{self.feature} · {self.entry.node or 'start'}: {changes}"


class Unheard:
    """A Reporter that nobody listens to."""

    def stage(self, message: str) -> None:
        """Nothing to tell."""

    def harvest(self, done: int, total: int) -> None:
        """Nothing to tell."""

    def features(self, done: int, total: int) -> None:
        """Nothing to tell."""

    def step(self, feature: int, node: str) -> None:
        """Nothing to tell."""


class Following(Unheard):
    """A Reporter that tells each new step of a run once, in order by feature."""

    def __init__(self, database: Database, run: Run, tell: Callable[[Step], object]) -> None:
        """Take note of the steps that are stored already; those are not told.

        Args:
            database: Has the run.
            run: The run.
            tell: Called from several threads, but never from two at a time.
        """
        self._database, self._run, self._tell = database, run, tell
        self._lock = threading.Lock()
        planned = RunStore(database).planned(run)
        self._told = {feature: len(placed(database, self._thread(feature))) for feature in planned}

    def step(self, feature: int, node: str) -> None:
        """Tell what was stored before this step."""
        with self._lock:
            told = self._told.get(feature, 0)
            if len(placed(self._database, self._thread(feature))) > told:
                entries = history(self._database, self._thread(feature))
                self._told[feature] = len(entries)
                for entry in entries[told:]:
                    self._tell(Step(feature, entry))

    def finish(self) -> None:
        """Tell the last steps of every feature."""
        for feature in RunStore(self._database).planned(self._run):
            self.step(feature, "")

    def _thread(self, feature: int) -> str:
        return thread_of(self._run.name, feature)
