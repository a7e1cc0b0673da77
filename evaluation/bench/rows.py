"""A row of the benchmark table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One measured figure beside what it should be."""

    row: str
    value: float
    target: float
    """The largest value that meets the target; the smallest where more is better."""
    unit: str
    more_is_better: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        if self.more_is_better:
            return self.value >= self.target
        return self.value <= self.target
