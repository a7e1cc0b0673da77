"""Who explains a thread: one at a time, though a run and the live page may both want to."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager


class Claims:
    """Threads of LangGraph's in this process, each in one pair of hands; safe to share."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextmanager
    def held(self, thread_id: str) -> Generator[None]:
        """Hold a thread within the `with` block, once nobody else does."""
        with self._guard:
            lock = self._locks[thread_id]
        with lock:
            yield
