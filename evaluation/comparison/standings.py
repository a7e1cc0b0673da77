"""One explainer on one metric: its mean, and how the investigation compares with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from evaluation.statistics import Estimate, Paired, estimate, mean_of, paired
from tools.llm.costs import Spent, total

Row = dict[str, Any]
"""A score as `ScoreStore.records` gives it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One explainer on one metric."""

    explainer: str
    mean: Estimate | None
    """Over the features that count; None where no feature does."""
    n: int
    """Features that count: those with a score, and those that count at their floor."""
    floored: int
    """Features that count at their floor, for the explanation itself left the score undefined."""
    missing: int
    """Features that do not count."""
    reasons: tuple[str, ...]
    """Why features have no score of their own, each once, the most frequent first."""
    trivial: float | None
    """The best that a judge who reads no explanation gets on the same texts, mean."""
    parse_failures: float
    """Share of the judge's answers that could not be used, mean."""
    scoring: Spent
    """What the judge took."""
    making: Spent
    """What making the explanations took."""
    gain: Paired | None
    """The investigation against this explainer; None for the investigation itself, or where no
    feature counts for both. Positive means that the investigation is better, whatever the metric's
    direction."""


def standing(
    name: str, rows: Sequence[Row], ours: Mapping[int, float] | None, sign: float, seed: int
) -> Standing:
    """Sum up one explainer's scores.

    Args:
        name: the explainer.
        rows: its scores of one metric by one judge.
        ours: the investigation's, by feature; None if this is the investigation.
        sign: -1 for a metric where lower is better, else 1.
        seed: of the bootstrap.
    """
    counting = values(rows)
    unscored = [row["reason"] for row in rows if row["value"] is None]
    return Standing(
        explainer=name,
        mean=_mean(list(counting.values()), seed),
        n=len(counting),
        floored=len(unscored) - (len(rows) - len(counting)),
        missing=len(rows) - len(counting),
        reasons=tuple(sorted(set(unscored), key=lambda each: (-unscored.count(each), each))),
        trivial=_trivial(rows, sign),
        parse_failures=fmean(row["parse_failures"] for row in rows),
        scoring=total(_spent(row, "") for row in rows),
        making=total(_spent(row, "made_") for row in rows),
        gain=None if ours is None else _gain(ours, counting, sign, seed),
    )


def values(rows: Iterable[Row]) -> dict[int, float]:
    """By feature, the score or the floor that it counts at; features with neither are left out."""
    counting = {row["feature"]: _counted(row) for row in rows}
    return {feature: value for feature, value in counting.items() if value is not None}


def _counted(row: Row) -> float | None:
    return row["floor"] if row["value"] is None else row["value"]


def _mean(numbers: Sequence[float], seed: int) -> Estimate | None:
    if not numbers:
        return None
    return estimate(mean_of(numbers), len(numbers), seed, "no feature has a score")


def _gain(
    ours: Mapping[int, float], theirs: Mapping[int, float], sign: float, seed: int
) -> Paired | None:
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        return None
    return paired([sign * ours[f] for f in both], [sign * theirs[f] for f in both], seed)


def _trivial(rows: Iterable[Row], sign: float) -> float | None:
    """The best of the trivial judges, by their means over the scored features."""
    scored = [row for row in rows if row["value"] is not None]
    means: list[float] = []
    for kind in ("always", "never", "prior"):
        known = [row[kind] for row in scored if row[kind] is not None]
        if known:
            means.append(fmean(known))
    return max(means, key=lambda mean: sign * mean) if means else None


def _spent(row: Row, prefix: str) -> Spent:
    names = ("calls", "tokens_in", "tokens_out", "cost")
    return Spent(*(row[f"{prefix}{name}"] for name in names))
