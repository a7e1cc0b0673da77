"""How long checkpoints take to commit, watched from outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest.mock import patch

from graphs.checkpoint_writer import CheckpointWriter


class Span(NamedTuple):
    """Start and end by the monotonic clock, in seconds."""

    start: float
    end: float


@dataclass(slots=True)
class Commits:
    """Every transaction that stored checkpoints; no two at a time."""

    spans: list[Span] = field(default_factory=list[Span])

    def seconds_after(self, moment: float) -> float:
        """Time spent in transactions that began after `moment`."""
        return sum(end - start for start, end in self.spans if start >= moment)


@contextmanager
def committing() -> Generator[Commits]:
    """Watch the commits of checkpoints, waiting for the database included."""
    commits = Commits()
    commit: Callable[..., None] = CheckpointWriter._commit  # pyright: ignore[reportPrivateUsage]

    def watched(writer: CheckpointWriter, changes: Sequence[Any]) -> None:
        start = time.monotonic()
        commit(writer, changes)
        commits.spans.append(Span(start, time.monotonic()))

    with patch.object(CheckpointWriter, "_commit", watched):
        yield commits
