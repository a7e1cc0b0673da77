"""Where things stand in the page's pictures: numbers for templates, no markup."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles

from graphs.page.records import Histogram, HypothesisNode, ScoreCell, Test, ThreadSummary
from graphs.page.scores import AGENTIC

BASELINE = "one_shot"
"""What the investigation is held against."""

_MARK = 9
"""Width of one test in the timeline, in pixels, with its gap."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, in pixels from the top left."""

    x: float
    y: float
    width: float
    height: float
    title: str


def histogram_bars(histogram: Histogram, width: float, height: float) -> tuple[Bar, ...]:
    """Bars whose heights grow with the square root of the counts: tails stay visible."""
    tallest = math.sqrt(max(histogram.counts, default=0)) or 1.0
    step = width / len(histogram.counts)
    unit = histogram.highest / len(histogram.counts)
    bars: list[Bar] = []
    for place, count in enumerate(histogram.counts):
        if count:
            tall = max(1.0, height * math.sqrt(count) / tallest)
            title = f"{place * unit:.3g} to {(place + 1) * unit:.3g}: {count:,} tokens"
            bars.append(
                Bar(
                    round(place * step, 1), round(height - tall, 1), step - 1, round(tall, 1), title
                )
            )
    return tuple(bars)


@dataclass(frozen=True, slots=True)
class Strip:
    """One explainer's scores on one metric: a row of a plot."""

    explainer: str
    values: tuple[float, ...]
    mean: float
    low: float
    """First quartile; `high` is the third."""
    high: float


@dataclass(frozen=True, slots=True)
class Distribution:
    """One metric's scores over the features, explainer by explainer."""

    metric: str
    strips: tuple[Strip, ...]


def distributions(
    threads: Sequence[ThreadSummary], metrics: Sequence[str]
) -> tuple[Distribution, ...]:
    """The investigation's scores beside the baseline's."""
    return tuple(
        Distribution(metric, strips)
        for metric in metrics
        if (strips := tuple(_strips([thread.scores.get(metric, {}) for thread in threads])))
    )


def _strips(cells: Sequence[Mapping[str, ScoreCell]]) -> list[Strip]:
    strips: list[Strip] = []
    for explainer in (AGENTIC, BASELINE):
        values = [
            cell.value
            for by_explainer in cells
            if (cell := by_explainer.get(explainer)) is not None and cell.value is not None
        ]
        if values:
            low, _, high = quantiles(values, n=4, method="inclusive") if values[1:] else values * 3
            strips.append(Strip(explainer, tuple(values), fmean(values), low, high))
    return strips


@dataclass(frozen=True, slots=True)
class Pair:
    """A feature's score by the investigation and by the baseline."""

    anchor: str
    feature: int
    ours: float
    theirs: float

    @property
    def gain(self) -> float:
        """What testing added."""
        return self.ours - self.theirs


def pairs(threads: Sequence[ThreadSummary], metric: str) -> tuple[Pair, ...]:
    """The features that have both scores on a metric."""
    found: list[Pair] = []
    for thread in threads:
        cells = thread.scores.get(metric, {})
        ours, theirs = cells.get(AGENTIC), cells.get(BASELINE)
        if ours and theirs and ours.value is not None and theirs.value is not None:
            found.append(Pair(thread.anchor, thread.feature, ours.value, theirs.value))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Mark:
    """One test in the timeline."""

    x: float
    test: Test


@dataclass(frozen=True, slots=True)
class Lane:
    """One hypothesis in the timeline."""

    node: HypothesisNode
    y: float
    begin: float
    end: float
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rounds from left to right, hypotheses from top to bottom."""

    width: float
    height: float
    columns: tuple[tuple[int, float, float], ...]
    """Number of each round, where its column begins and how wide it is."""
    lanes: tuple[Lane, ...]


def timeline(hypotheses: Sequence[HypothesisNode]) -> Timeline:
    """Lay out the tests of all hypotheses by round; a lane ends where its verdict fell."""
    label, row, head = 74.0, 22.0, 24.0
    rounds = sorted({test.round for node in hypotheses for test in node.tests})
    columns: dict[int, tuple[float, float]] = {}
    x = label
    for number in rounds:
        most = max(sum(test.round == number for test in node.tests) for node in hypotheses)
        columns[number] = (x, most * _MARK + 14.0)
        x += columns[number][1]
    lanes = tuple(
        _lane(node, head + row * place + row / 2, columns, label)
        for place, node in enumerate(hypotheses)
    )
    height = head + row * len(hypotheses) + 4
    return Timeline(x + 92, height, tuple((n, *columns[n]) for n in rounds), lanes)


def _lane(
    node: HypothesisNode, y: float, columns: Mapping[int, tuple[float, float]], label: float
) -> Lane:
    marks: list[Mark] = []
    for number, (x, _) in columns.items():
        own = [test for test in node.tests if test.round == number]
        marks += [Mark(x + 11 + _MARK * place, test) for place, test in enumerate(own)]
    last = max((mark.x for mark in marks), default=label)
    begin = next((x + w for n, (x, w) in columns.items() if n == node.round), label)
    return Lane(node, y, min(begin, last), last, tuple(marks))
