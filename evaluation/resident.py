"""How much memory this process holds, as Linux tells it; in MiB."""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET_PEAK = Path("/proc/self/clear_refs")


def resident() -> float:
    """What it holds now."""
    return _mebibytes("VmRSS")


def peak() -> float:
    """The most that it held since `forget_peak`, or ever."""
    return _mebibytes("VmHWM")


def forget_peak() -> None:
    """From now on the peak is what is held from now on."""
    # 5 asks Linux to forget the highest resident size so far.
    _RESET_PEAK.write_text("5")


def _mebibytes(field: str) -> float:
    lines = (line.split() for line in _STATUS.read_text().splitlines())
    return next(int(line[1]) for line in lines if line[0] == f"{field}:") / 1024
