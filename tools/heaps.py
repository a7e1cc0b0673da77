"""Heaps of memory that threads share."""

from __future__ import annotations

import ctypes
import platform

HEAPS = 2
"""For all threads together."""
_M_ARENA_MAX = -8
"""Of `mallopt` in the C library's malloc.h."""


def share_heaps() -> None:
    """Let the threads that begin from now on share a few heaps, where the C library is GNU's.

    There each thread gets a heap of its own otherwise, up to eight for a processor, and what one
    has freed is of no use to the others: with features side by side, a third more memory. To be
    called first: once there are many heaps, there is no going back.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, HEAPS)
