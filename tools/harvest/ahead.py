"""Work done ahead of who wants its results, in order, without piling them up."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

MOST_THREADS = 4
"""numpy lets go of the interpreter for parts of its work only: more would wait for each other."""

T = TypeVar("T")
R = TypeVar("R")


def map_ahead(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """The results of `work`, in the order of `items`, a few of them computed in advance.

    Items are taken by the caller's thread, in their order.
    """
    n_threads = min(MOST_THREADS, n_processors())
    left = iter(items)
    with ThreadPoolExecutor(n_threads, "ahead") as pool:
        ahead: deque[Future[R]] = deque()
        while True:
            wanted = islice(left, n_threads + 1 - len(ahead))
            ahead.extend(pool.submit(work, item) for item in wanted)
            if not ahead:
                return
            yield ahead.popleft().result()


def n_processors() -> int:
    """Processors that this process may use."""
    # Only Linux tells what a process is held to.
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
