"""The comparison: the investigation's explanations beside every baseline's, metric by metric.

Means are over the features that a score could be had for, with 95 % bootstrap intervals over
features. Differences are paired: only features that both explainers have a score for count.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from statistics import fmean
from typing import Any

from evaluation.agentic import AGENTIC
from evaluation.baselines.registry import DEFAULT_BASELINES
from evaluation.scorers.registry import LOWER_IS_BETTER, METRICS
from evaluation.scores import ScoreStore
from evaluation.statistics import Estimate, Paired, estimate, mean_of, paired
from graphs.runs import Run
from tools.database import Database
from tools.errors import NothingToScore
from tools.llm.costs import Spent, total

HEADLINE = ("predictive_balanced", "generative_auroc", "detection_auc")
"""Metrics by which features are said to have gained or lost; the first that was scored is taken."""
MOST_LISTED = 5

Row = dict[str, Any]
"""A score as `ScoreStore.records` gives it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One explainer on one metric."""

    explainer: str
    mean: Estimate | None
    """Over the features that have a score; None where no feature has."""
    n: int
    missing: int
    """Features without a score."""
    reasons: tuple[str, ...]
    """Why, each once, the most frequent first."""
    floored: float | None
    """The mean if missing scores count as what a judge gets who reads no explanation: r of a
    prediction that is the same everywhere is undefined, and no better than none. None where that is
    not known of all."""
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
    feature has both scores. Positive means that the investigation is better, whatever the metric's
    direction."""


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """One metric by one judge, the investigation first."""

    metric: str
    judge: str
    lower_is_better: bool
    standings: tuple[Standing, ...]

    @property
    def baselines(self) -> tuple[Standing, ...]:
        """Everyone but the investigation."""
        return tuple(each for each in self.standings if each.explainer != AGENTIC)


@dataclass(frozen=True, slots=True)
class Change:
    """One feature's score beside a baseline's."""

    feature: int
    ours: float
    theirs: float
    description: str | None

    @property
    def gain(self) -> float:
        """How much better the investigation did."""
        return self.ours - self.theirs


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that `saesage compare` says of a run."""

    run: str
    features: int
    """Features with any score."""
    metrics: tuple[MetricComparison, ...]
    headline: str
    """The metric and judge of `gained` and `lost`, and the baseline they are against."""
    gained: tuple[Change, ...]
    lost: tuple[Change, ...]
    families: tuple[FamilyRecovery, ...]
    """Where the meaning of features is known."""


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


RECOVERED = 0.95
"""F1 on held-out text from which a planted meaning counts as recovered."""


def compare_run(database: Database, run: Run) -> Comparison:
    """Compare all explainers of a run on its stored scores.

    Raises:
        NothingToScore: there are none.
    """
    records = ScoreStore(database, run.name).records()
    if not records:
        raise NothingToScore(
            f"run {run.name} has no scores yet; score it with `saesage evaluate {database.path}`."
        )
    return compare(run.name, records, run.config.seed)


def as_json(comparison: Comparison) -> str:
    """The comparison as one JSON object; its keys are the fields of the records above."""
    return json.dumps(asdict(comparison), indent=2, ensure_ascii=False)


def compare(run: str, records: Sequence[Row], seed: int) -> Comparison:
    """Compare all explainers of a run.

    Args:
        run: its name.
        records: its scores.
        seed: of the bootstrap.
    """
    order = {metric: place for place, metric in enumerate(METRICS)}
    rows = sorted(records, key=lambda row: (order[row["metric"]], row["judge"]))
    metrics = tuple(
        _metric(metric, judge, list(group), seed)
        for (metric, judge), group in groupby(rows, key=lambda row: (row["metric"], row["judge"]))
    )
    changes, headline = _changes(rows)
    return Comparison(
        run=run,
        features=len({row["feature"] for row in rows}),
        metrics=metrics,
        headline=headline,
        gained=tuple(_most(each for each in changes if each.gain > 0)),
        lost=tuple(_most(each for each in changes if each.gain < 0)),
        families=tuple(_families(rows)),
    )


def _metric(metric: str, judge: str, rows: list[Row], seed: int) -> MetricComparison:
    by_explainer: dict[str, list[Row]] = {}
    for row in rows:
        by_explainer.setdefault(row["explainer"], []).append(row)
    names = sorted(by_explainer, key=_by_rank)
    ours = _values(by_explainer.get(AGENTIC, []))
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    standings = tuple(
        _standing(name, by_explainer[name], None if name == AGENTIC else ours, sign, seed)
        for name in names
    )
    return MetricComparison(metric, judge, metric in LOWER_IS_BETTER, standings)


def _standing(
    name: str, rows: list[Row], ours: Mapping[int, float] | None, sign: float, seed: int
) -> Standing:
    values = _values(rows)
    mean = None
    if values:
        mean = estimate(mean_of(list(values.values())), len(values), seed, "no feature has a score")
    missing = [row["reason"] for row in rows if row["value"] is None]
    return Standing(
        explainer=name,
        mean=mean,
        n=len(values),
        missing=len(missing),
        reasons=tuple(sorted(set(missing), key=lambda reason: (-missing.count(reason), reason))),
        floored=_floored(rows) if missing else None,
        trivial=_trivial(rows, sign),
        parse_failures=fmean(row["parse_failures"] for row in rows),
        scoring=total(_spent(row, "") for row in rows),
        making=total(_spent(row, "made_") for row in rows),
        gain=None if ours is None else _gain(ours, values, sign, seed),
    )


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


def _floored(rows: Iterable[Row]) -> float | None:
    values = [row["prior"] if row["value"] is None else row["value"] for row in rows]
    return None if None in values else fmean(values)


def _values(rows: Iterable[Row]) -> dict[int, float]:
    return {row["feature"]: row["value"] for row in rows if row["value"] is not None}


def _spent(row: Row, prefix: str) -> Spent:
    names = ("calls", "tokens_in", "tokens_out", "cost")
    return Spent(*(row[f"{prefix}{name}"] for name in names))


def _by_rank(explainer: str) -> tuple[int, str]:
    known = (AGENTIC, *DEFAULT_BASELINES)
    return (known.index(explainer) if explainer in known else len(known), explainer)


def _changes(rows: Sequence[Row]) -> tuple[list[Change], str]:
    """The investigation's gain on each feature, on the headline metric, over the one-shot."""
    for metric in HEADLINE:
        scored = [row for row in rows if row["metric"] == metric and row["value"] is not None]
        for judge in dict.fromkeys(row["judge"] for row in scored):
            mine = [row for row in scored if row["judge"] == judge]
            others = sorted({row["explainer"] for row in mine} - {AGENTIC}, key=_one_shot_first)
            if others and any(row["explainer"] == AGENTIC for row in mine):
                changes = _against(mine, others[0])
                return changes, f"{metric} ({judge}), against {others[0]}"
    return [], ""


def _most(changes: Iterable[Change]) -> list[Change]:
    """The largest first."""
    return sorted(changes, key=lambda each: -abs(each.gain))[:MOST_LISTED]


def _one_shot_first(explainer: str) -> tuple[bool, str]:
    return (explainer != "one_shot", explainer)


def _against(rows: Sequence[Row], baseline: str) -> list[Change]:
    theirs = _values(row for row in rows if row["explainer"] == baseline)
    return [
        Change(row["feature"], row["value"], theirs[row["feature"]], row["description"])
        for row in rows
        if row["explainer"] == AGENTIC and row["feature"] in theirs
    ]


def _families(rows: Sequence[Row]) -> Iterable[FamilyRecovery]:
    scored = [row for row in rows if row["metric"] == "recovered_f1" and row["value"] is not None]

    def key(row: Row) -> tuple[str, tuple[int, str], str]:
        return (row["family"], _by_rank(row["explainer"]), row["judge"])

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
