"""How well the meanings of planted features were recovered, by family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from evaluation.comparison.standings import Row

RECOVERED = 0.95
"""F1 on held-out text from which a planted meaning counts as recovered."""


@dataclass(frozen=True, slots=True)
class FamilyRecovery:
    """How well the meanings of one family of planted features were recovered."""

    family: str
    explainer: str
    judge: str
    n: int
    f1: float
    """Mean over the features."""
    recovered: float
    """Share of the features with an F1 of RECOVERED or more."""


def families(
    rows: Sequence[Row], rank: Callable[[str], tuple[int, str]]
) -> Iterator[FamilyRecovery]:
    """Each family with each explainer, explainers in the order of `rank`."""
    scored = [row for row in rows if row["metric"] == "recovered_f1" and row["value"] is not None]

    def key(row: Row) -> tuple[str, tuple[int, str], str]:
        return (row["family"], rank(row["explainer"]), row["judge"])

    for _, group in groupby(sorted(scored, key=key), key=key):
        members = list(group)
        values = [row["value"] for row in members]
        yield FamilyRecovery(
            family=members[0]["family"],
            explainer=members[0]["explainer"],
            judge=members[0]["judge"],
            n=len(values),
            f1=fmean(values),
            recovered=fmean(value >= RECOVERED for value in values),
        )
