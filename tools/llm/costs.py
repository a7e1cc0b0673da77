"""What language-model calls were needed, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls with their tokens and cost; None where some call did not report it."""

    calls: int = 0
    tokens_in: int | None = 0
    tokens_out: int | None = 0
    cost: float | None = 0.0
    """US dollars; None without prices."""


NOTHING_SPENT = Spent()
"""What an offline judge needs."""


def total(parts: Iterable[Spent]) -> Spent:
    """The sum; unknown as soon as one part is."""
    spent = list(parts)
    return Spent(
        calls=sum(each.calls for each in spent),
        tokens_in=_sum(each.tokens_in for each in spent),
        tokens_out=_sum(each.tokens_out for each in spent),
        cost=_dollars(each.cost for each in spent),
    )


def _sum(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)


def _dollars(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)
