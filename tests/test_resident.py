"""What the process holds is told, and its peak can be forgotten."""

from __future__ import annotations

import numpy as np

from evaluation.resident import forget_peak, peak, resident

MIB = 2**20


def test_a_peak_is_seen_and_forgotten() -> None:
    forget_peak()
    before = resident()
    held = np.ones(100 * MIB, np.uint8)
    assert resident() > before + 90
    del held
    assert peak() > before + 90
    forget_peak()
    assert peak() < before + 50
