"""What the process holds is told, and its peak can be forgotten."""

from __future__ import annotations

from mmap import mmap

from evaluation.resident import forget_peak, peak, resident

MIB = 2**20


def test_a_peak_is_seen_and_forgotten() -> None:
    forget_peak()
    before = resident()
    # From Linux itself, and back to it: a heap may keep what is freed.
    with mmap(-1, 100 * MIB) as held:
        for _ in range(100):
            held.write(b"x" * MIB)
        assert resident() > before + 90
    assert peak() > before + 90
    forget_peak()
    assert peak() < before + 50
