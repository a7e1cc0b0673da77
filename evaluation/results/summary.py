"""One row per figure: what `results.json` holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from evaluation.comparison import Comparison, MetricComparison
from evaluation.comparison.standings import Standing
from evaluation.scorers.registry import LOWER_IS_BETTER
from evaluation.statistics import Estimate

BEATEN = "one_shot"
"""The baseline that the investigation is meant to beat."""
RECOVERED, LEAST_RECOVERED = "recovered", "recovered, family with the fewest"


@dataclass(frozen=True, slots=True)
class Result:
    """One figure with its 95 % interval and, where there is one, its target."""

    subject: str
    explainer: str
    """An explainer's name, or `agentic - <name>` for a paired difference."""
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    """Features."""
    target: float | None = None
    met: bool | None = None
    """Whether the whole interval is past the target; None without a target."""

    def as_json(self) -> dict[str, Any]:
        """Rounded to what can be compared between machines."""
        return {key: _rounded(value) for key, value in asdict(self).items()}


def results_of(subject: str, comparison: Comparison) -> list[Result]:
    """Every mean, every paired difference, and what was recovered of planted meanings."""
    rows = [row for metric in comparison.metrics for row in _metric(subject, metric)]
    return [*rows, *_families(subject, comparison)]


def _metric(subject: str, metric: MetricComparison) -> Iterator[Result]:
    for standing in metric.standings:
        yield _result(subject, standing.explainer, metric.metric, standing.mean, standing.n)
        if standing.gain is not None:
            yield _difference(subject, metric.metric, standing)


def _difference(subject: str, metric: str, standing: Standing) -> Result:
    """What is between the two; over the one-shot it is to be on the better side of 0."""
    assert standing.gain is not None
    gain, name = standing.gain.difference, f"agentic - {standing.explainer}"
    bare = _result(subject, name, metric, gain, standing.gain.n)
    if metric in LOWER_IS_BETTER:
        bare = replace(
            bare, value=0.0 - gain.value, low=_negative(gain.high), high=_negative(gain.low)
        )
    if standing.explainer != BEATEN:
        return bare
    met = gain.low is not None and gain.low > 0
    return replace(bare, target=0.0, met=met)


def _negative(end: float | None) -> float | None:
    return None if end is None else 0.0 - end


def _families(subject: str, comparison: Comparison) -> Iterator[Result]:
    """Share of the planted features whose meaning was recovered, whole and by family."""
    for explainer in dict.fromkeys(each.explainer for each in comparison.families):
        mine = [each for each in comparison.families if each.explainer == explainer]
        # What was not explained at all was not recovered either.
        n = sum(each.n for each in mine) + comparison.unscored
        share = sum(each.recovered * each.n for each in mine) / n
        yield Result(subject, explainer, RECOVERED, share, None, None, n)
        fewest = min(mine, key=lambda each: each.recovered)
        yield Result(subject, explainer, LEAST_RECOVERED, fewest.recovered, None, None, fewest.n)
        for each in mine:
            name = f"{RECOVERED}: {each.family}"
            yield Result(subject, explainer, name, each.recovered, None, None, each.n)


def _result(subject: str, explainer: str, metric: str, mean: Estimate | None, n: int) -> Result:
    if mean is None:
        return Result(subject, explainer, metric, None, None, None, n)
    return Result(subject, explainer, metric, mean.value, mean.low, mean.high, n)


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
