"""Forward passes side by side: on a CPU, every thread runs windows of its own.

Left alone, torch splits each product among its threads, which wait for each other after each; small
models lose half of two cores to that, and more where other programs run beside.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise

import numpy as np
import torch

from tools.activations import Fired

_Windows = Sequence[Sequence[int]]


class SideBySide:
    """Runs parts of a batch in as many threads as torch has for the caller."""

    def __init__(self) -> None:
        """Start no thread yet."""
        self._pool: ThreadPoolExecutor | None = None
        self._n_threads = 0

    def fire(self, run: Callable[[_Windows], Fired], windows: _Windows) -> Fired:
        """What fires on `windows`, found by `run` on consecutive parts of them.

        Not to be called by several threads at a time.
        """
        n_threads = torch.get_num_threads()
        bounds = np.linspace(0, len(windows), min(n_threads, len(windows)) + 1).astype(int).tolist()
        if len(bounds) == 2:
            return run(windows)
        parts = [windows[begin:end] for begin, end in pairwise(bounds)]
        found = list(self._threads(n_threads).map(run, parts))
        return _joined(found, [sum(map(len, part)) for part in parts])

    def _threads(self, n_threads: int) -> ThreadPoolExecutor:
        if self._pool is None or n_threads != self._n_threads:
            self._pool = ThreadPoolExecutor(n_threads, "forward", torch.set_num_threads, (1,))
            self._n_threads = n_threads
            barrier = threading.Barrier(n_threads)
            wait([self._pool.submit(barrier.wait) for _ in range(n_threads)])
            # What the workers set for themselves is also what later threads would begin with.
            torch.set_num_threads(n_threads)
        return self._pool


def _joined(parts: Sequence[Fired], n_tokens: Sequence[int]) -> Fired:
    starts = np.cumsum([0, *n_tokens[:-1]])
    failures = [part.failures for part in parts]
    return Fired(
        np.concatenate([part.rows + start for part, start in zip(parts, starts, strict=True)]),
        np.concatenate([part.columns for part in parts]),
        np.concatenate([part.values for part in parts]),
        # The first part that a feature fails on says where.
        {item: error for part in reversed(failures) for item, error in part.items()},
    )
