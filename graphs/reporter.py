"""Who hears how far a run is."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Hears of what a run does, from several threads at a time."""

    def stage(self, message: str) -> None:
        """Something long begins that has no steps to count."""
        ...

    def harvest(self, done: int, total: int) -> None:
        """Tokens of the corpus that are measured."""
        ...

    def features(self, done: int, total: int) -> None:
        """Features that this run is done with, one way or another."""
        ...

    def step(self, feature: int, node: str) -> None:
        """A node of the graph begins."""
        ...
