"""Threads for forward passes side by side.

Left alone, torch splits each product among its threads, which wait for each other after every one:
a small model loses a third of two cores to that, and more where other programs run beside.
"""

from __future__ import annotations

import threading
from concurrent.futures import wait
from functools import partial

import torch

from tools.lanes import Lanes

MOST_LANES = 8
"""More passes at a time would need too much memory; each then has several threads of torch."""


def open_lanes(n_lanes: int) -> Lanes:
    """A pool of threads that share the caller's threads of torch among them."""
    n_threads = torch.get_num_threads()
    per_lane = max(1, n_threads // n_lanes)
    pool = Lanes(n_lanes, partial(_limit, per_lane))
    started = threading.Barrier(n_lanes)
    wait([pool.submit(started.wait) for _ in range(n_lanes)])
    # What a thread sets for itself is also what threads that are started later begin with.
    torch.set_num_threads(n_threads)
    return pool


def _limit(n_threads: int) -> None:
    # A thread takes over the number of all at its first look, and only then keeps its own.
    torch.get_num_threads()
    torch.set_num_threads(n_threads)
