"""What changed in a database since somebody last looked."""

from __future__ import annotations

import secrets
import threading
from typing import NamedTuple

from tools.database import Database

_VERSIONS = (
    "SELECT thread_id, max(checkpoint_id) || ' ' || max(recorded_at) FROM feature_log "
    "GROUP BY thread_id UNION ALL "
    "SELECT run || '/' || feature || '!', max(failed_at)::VARCHAR FROM failures GROUP BY ALL "
    "UNION ALL SELECT run || '/*', count(*)::VARCHAR FROM run_features GROUP BY ALL"
)
"""By thread, what differs once it has moved on; likewise failures, and what runs are planned."""


class Change(NamedTuple):
    """What is new since a mark."""

    mark: str
    """Where this ends: what to ask with next time."""
    threads: tuple[str, ...] | None
    """Threads that moved on; None where the mark was none of ours: take all of them."""
    status: str
    """What goes on, in words; empty if nothing does."""


class Changes:
    """Counts the changes; safe to share between threads.

    Of each thread only the last change is kept, so that a reader who is slow, or was away, misses
    nothing and costs nothing.
    """

    def __init__(self, reader: Database) -> None:
        """Begin with what there is now.

        Args:
            reader: See `Database.reader`.
        """
        self._reader = reader
        self._life = secrets.token_hex(4)
        self._versions: dict[str, str] = {}
        self._changed: dict[str, int] = {}
        self._said: dict[str, str] = {}
        self._count = 0
        self._lock = threading.Lock()
        self.look()

    @property
    def mark(self) -> str:
        """Where things are now."""
        return f"{self._life}-{self._count}"

    @property
    def status(self) -> str:
        """What goes on, in words."""
        with self._lock:
            return self._status()

    def tell(self, who: str, status: str) -> None:
        """Say what goes on somewhere; empty for nothing any more."""
        with self._lock:
            before = self._status()
            self._said.pop(who, None)
            if status:
                self._said[who] = status
            self._count += self._status() != before

    def _status(self) -> str:
        return " · ".join(self._said.values())

    def look(self) -> None:
        """Take note of the threads that moved on.

        Raises:
            DatabaseError: the database cannot be read.
        """
        rows = self._reader.rows(_VERSIONS)
        with self._lock:
            moved = [key for key, version in rows if self._versions.get(key) != version]
            if moved:
                self._versions.update(rows)
                self._count += 1
                self._changed.update((key.rstrip("!"), self._count) for key in moved)

    def since(self, mark: str) -> Change:
        """What changed after `mark`, as far as `look` has noted it."""
        life, _, count = mark.partition("-")
        with self._lock:
            threads = None
            if life == self._life and count.isdecimal():
                threads = tuple(key for key, at in self._changed.items() if at > int(count))
            return Change(self.mark, threads, self._status())
