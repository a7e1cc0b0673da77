"""Threads in which a subject's forward passes run side by side."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class Lanes(ThreadPoolExecutor):
    """A pool of threads that knows how many they are."""

    def __init__(self, number: int, prepare: Callable[[], None] | None = None) -> None:
        """Open `number` lanes, each of which calls `prepare` first."""
        super().__init__(number, "forward", prepare)
        self.number = number
