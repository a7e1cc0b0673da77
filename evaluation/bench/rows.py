"""A row of the benchmark table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One measured figure beside what it should be."""

    row: str
    value: float
    target: float | None
    """The largest value that meets the target; the smallest where more is better; None: shown for
    comparison only."""
    unit: str
    more_is_better: bool = False

    @property
    def met(self) -> bool:
        """Whether the target, if there is one, is reached."""
        if self.target is None:
            return True
        return self.value >= self.target if self.more_is_better else self.value <= self.target

    @property
    def shown_target(self) -> str:
        """The target with its sign, empty where there is none."""
        if self.target is None:
            return ""
        return f"{'>=' if self.more_is_better else '<='} {self.target:g}"
