"""The comparison: the investigation's explanations beside every baseline's, metric by metric.

Means are over features, with 95 % bootstrap intervals. Differences are paired: only features that
count for both explainers are in them. A score that the explanation itself left undefined counts at
its floor, or predicting nothing would pay.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from evaluation.agentic import AGENTIC
from evaluation.baselines.registry import DEFAULT_BASELINES
from evaluation.comparison.changes import Change, changes, most
from evaluation.comparison.families import FamilyRecovery, families
from evaluation.comparison.standings import Row, Standing, standing, values
from evaluation.scorers.registry import LOWER_IS_BETTER, METRICS
from evaluation.scores import ScoreStore
from graphs.runs import Run, RunStore
from tools.database import Database
from tools.errors import NothingToScore


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
class Comparison:
    """Everything that `saesage compare` says of a run."""

    run: str
    features: int
    """Features with any score."""
    unscored: int
    """Features of the run without one: dead, too rare, failed, not explained or not scored yet."""
    metrics: tuple[MetricComparison, ...]
    headline: str
    """The metric and judge of `gained` and `lost`, and the baseline they are against."""
    gained: tuple[Change, ...]
    lost: tuple[Change, ...]
    families: tuple[FamilyRecovery, ...]
    """Where the meaning of features is known."""


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
    planned = len(RunStore(database).planned(run))
    return compare(run.name, records, run.config.seed, planned)


def as_json(comparison: Comparison) -> str:
    """The comparison as one JSON object; its keys are the fields of the records above."""
    return json.dumps(asdict(comparison), indent=2, ensure_ascii=False)


def compare(run: str, records: Sequence[Row], seed: int, planned: int) -> Comparison:
    """Compare all explainers of a run.

    Args:
        run: its name.
        records: its scores.
        seed: of the bootstrap.
        planned: how many features the run has.
    """
    order = {metric: place for place, metric in enumerate(METRICS)}
    records = [{**row, "judge": _judge(row)} for row in records]
    rows = sorted(records, key=lambda row: (order[row["metric"]], row["judge"]))
    metrics = tuple(
        _metric(metric, judge, list(group), seed)
        for (metric, judge), group in groupby(rows, key=lambda row: (row["metric"], row["judge"]))
    )
    n_scored = len({row["feature"] for row in rows})
    found, headline = changes(rows)
    return Comparison(
        run=run,
        features=n_scored,
        unscored=planned - n_scored,
        metrics=metrics,
        headline=headline,
        gained=tuple(most(each for each in found if each.gain > 0)),
        lost=tuple(most(each for each in found if each.gain < 0)),
        families=tuple(families(rows, _by_rank)),
    )


def _metric(metric: str, judge: str, rows: list[Row], seed: int) -> MetricComparison:
    by_explainer: dict[str, list[Row]] = {}
    for row in rows:
        by_explainer.setdefault(row["explainer"], []).append(row)
    names = sorted(by_explainer, key=_by_rank)
    ours = values(by_explainer.get(AGENTIC, []))
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    standings = tuple(
        standing(name, by_explainer[name], None if name == AGENTIC else ours, sign, seed)
        for name in names
    )
    return MetricComparison(metric, judge, metric in LOWER_IS_BETTER, standings)


def _by_rank(explainer: str) -> tuple[int, str]:
    known = (AGENTIC, *DEFAULT_BASELINES)
    return (known.index(explainer) if explainer in known else len(known), explainer)


def _judge(row: Row) -> str:
    """The judge, and which model it is: what different models say is not put together."""
    return row["judge"] if row["model"] is None else f"{row['judge']} {row['model']}"
