"""Changes that several threads make at once, committed together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

CROWD = 4
"""Changes in one group that tell of several threads at work: one alone makes two at a time."""

PAUSE_SECONDS = 0.03
"""How long a commit waits in a crowd. About as long as it takes there."""

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Entry(Generic[T]):
    """A change on its way; `error` is what became of it once it is `done`."""

    change: T
    done: bool = False
    error: Exception | None = None


class GroupCommit(Generic[T]):
    """Hands the changes of many threads to one function, as many at a time as have come together.

    There is no thread of its own: of those that wait, one commits for all, while the next changes
    gather behind it. Where many come, it waits a moment for more; an urgent change that is alone
    is committed at once.
    """

    def __init__(self, commit: Callable[[Sequence[T]], None]) -> None:
        """Commit by `commit`, which stores all that it is given, in that order, or raises."""
        self._commit = commit
        self._waiting: list[_Entry[T]] = []
        self._committing = False
        self._crowded = False
        self._turn = threading.Condition()

    def add(self, change: T, *, urgent: bool = True) -> None:
        """Return when `change` is committed; raise what keeps it from being so on its own.

        Args:
            change: what to commit.
            urgent: whether somebody waits for it; if not, it waits a moment for the next one.
        """
        entry = _Entry(change)
        with self._turn:
            self._waiting.append(entry)
            self._turn.notify_all()
            while self._committing and not entry.done:
                self._turn.wait()
            leads = not entry.done
            self._committing |= leads
        if leads:
            self._commit_for_all(entry, urgent)
        if entry.error is not None:
            raise entry.error

    def _commit_for_all(self, own: _Entry[T], urgent: bool) -> None:
        group: list[_Entry[T]] = []
        try:
            if self._crowded:
                time.sleep(PAUSE_SECONDS)
            with self._turn:
                if not urgent:
                    self._turn.wait_for(lambda: len(self._waiting) > 1, PAUSE_SECONDS)
                group, self._waiting = self._waiting, []
            self._crowded = len(group) >= CROWD
            _settle(self._commit, group)
        finally:
            with self._turn:
                self._committing = False
                # After an interrupt, the next of those that wait takes over what is left.
                left = (each for each in (*group, *self._waiting) if each is not own)
                self._waiting = [each for each in left if not each.done]
                self._turn.notify_all()


def _settle(commit: Callable[[Sequence[T]], None], group: Sequence[_Entry[T]]) -> None:
    """Commit the group, or one by one if that fails: a bad change is to fail alone."""
    error: Exception | None = None
    try:
        commit([entry.change for entry in group])
    except Exception as raised:  # noqa: BLE001  (Whatever it is, the change's own thread raises it.)
        error = raised
    if error is not None and len(group) > 1:
        for entry in group:
            _settle(commit, [entry])
        return
    for entry in group:
        entry.done, entry.error = True, error
