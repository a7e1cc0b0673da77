"""Where things stand in the page's pictures: numbers for templates, no markup."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles

from graphs.page.overview import ScoreCell, ThreadSummary
from graphs.page.records import Histogram, HypothesisNode
from graphs.page.scores import AGENTIC

BASELINE = "one_shot"
"""What the investigation is held against."""

_LABEL, _VERDICT = 74, 92
"""Width of a lane's name and of its verdict in the timeline, in pixels."""
_HEAD, _ROW, _MARK = 24, 22, 9
"""Height of its head and of a lane, and width of one test with its gap."""


def histogram_path(histogram: Histogram, width: int, height: int) -> str:
    """An SVG path of upright strokes, as tall as the square roots of the counts.

    Square roots, for a bin of ten tokens must be seen beside one of a thousand.
    """
    tallest = math.sqrt(max(histogram.counts, default=0)) or 1.0
    step = width / len(histogram.counts)
    heights = [max(1, round(height * math.sqrt(count) / tallest)) for count in histogram.counts]
    return "".join(
        f"M{(place + 0.5) * step:.1f} {height}v-{tall}"
        for place, (tall, count) in enumerate(zip(heights, histogram.counts, strict=True))
        if count
    )


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
            cell.counted
            for by_explainer in cells
            if (cell := by_explainer.get(explainer)) is not None and cell.counted is not None
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
        if ours and theirs and ours.counted is not None and theirs.counted is not None:
            found.append(Pair(thread.anchor, thread.feature, ours.counted, theirs.counted))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Mark:
    """One test in the timeline."""

    x: int
    y: int
    supports: bool | None


@dataclass(frozen=True, slots=True)
class Lane:
    """One hypothesis in the timeline."""

    node: HypothesisNode
    y: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rounds from left to right, hypotheses from top to bottom; all in pixels."""

    width: int
    height: int
    columns: tuple[tuple[int, int, int], ...]
    """Number of each round, where its column begins and how wide it is."""
    lanes: tuple[Lane, ...]
    marks: tuple[Mark, ...]


def timeline(hypotheses: Sequence[HypothesisNode]) -> Timeline:
    """Lay out the tests of all hypotheses by round; a lane ends with its last test."""
    columns: dict[int, tuple[int, int]] = {}
    x = _LABEL
    for number in sorted({test.round for node in hypotheses for test in node.tests}):
        most = max(sum(test.round == number for test in node.tests) for node in hypotheses)
        columns[number] = (x, max(most * _MARK + 14, 24))
        x += columns[number][1]
    rows = [_HEAD + _ROW * place + _ROW // 2 for place in range(len(hypotheses))]
    marks = [_marks(node, y, columns) for node, y in zip(hypotheses, rows, strict=True)]
    lanes: list[Lane] = []
    for node, y, own in zip(hypotheses, rows, marks, strict=True):
        end = max((mark.x for mark in own), default=_LABEL)
        begin = sum(columns.get(node.round, (_LABEL, 0)))
        lanes.append(Lane(node, y, min(begin, end), end))
    return Timeline(
        width=x + _VERDICT,
        height=_HEAD + _ROW * len(hypotheses) + 4,
        columns=tuple((number, *columns[number]) for number in columns),
        lanes=tuple(lanes),
        marks=tuple(mark for own in marks for mark in own),
    )


def _marks(node: HypothesisNode, y: int, columns: Mapping[int, tuple[int, int]]) -> list[Mark]:
    marks: list[Mark] = []
    for number, (x, _) in columns.items():
        own = [test for test in node.tests if test.round == number]
        marks += [Mark(x + 11 + _MARK * n, y, test.supports) for n, test in enumerate(own)]
    return marks
