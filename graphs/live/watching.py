"""A run whose progress is told on the page too."""

from __future__ import annotations

from dataclasses import dataclass

from graphs.live.changes import Changes
from graphs.reporter import Reporter

RUN = "run"
"""Who tells of the run."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A `graphs.reporter.Reporter` that passes on what it hears, and tells it to the page."""

    reporter: Reporter
    changes: Changes

    def stage(self, message: str) -> None:
        """Pass on and tell."""
        self.reporter.stage(message)
        self.changes.tell(RUN, message)

    def harvest(self, done: int, total: int) -> None:
        """Pass on and tell."""
        self.reporter.harvest(done, total)
        self.changes.tell(RUN, f"reading the corpus: {done / total:.0%}" if total else "")

    def features(self, done: int, total: int) -> None:
        """Pass on and tell."""
        self.reporter.features(done, total)
        self.changes.tell(RUN, f"{done} of {total} features done")

    def step(self, feature: int, node: str) -> None:
        """Pass on: the page sees what a step brought in the database."""
        self.reporter.step(feature, node)
