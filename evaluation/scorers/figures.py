"""From a judge's answers to scores: what figures that rest on the same answers share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.exam import Exam
from evaluation.judges.judge import Answers
from evaluation.scores import Score, Trivial
from evaluation.statistics import Statistic, estimate
from tools.errors import Unscorable

MOST_MISSING = 0.5
"""A judge that left more than this share of the texts unanswered has not judged the explanation."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Answers to be turned into figures."""

    exam: Exam
    answers: Answers[Any]
    details: Mapping[str, Any]
    """What the values are computed from, as JSON."""

    def figure(
        self,
        metric: str,
        statistic: Statistic,
        *,
        texts: int,
        trivial: Trivial,
        undefined: str,
        n: int | None = None,
        floor: float | None = None,
    ) -> Score:
        """One figure with its interval; null with `undefined` as the reason if it has no value.

        It is null as well, whatever the others say, if an answer was lost: no explanation is scored
        on fewer texts than its rivals because a server failed.

        Args:
            metric: its name, which also seeds the interval.
            statistic: over the texts with a usable answer.
            texts: how many these are.
            trivial: what judges who read no explanation would get.
            undefined: why it would have no value.
            n: what the value rests on if that is not the texts.
            floor: what it counts as without a value, if that is the explanation's doing.
        """
        if self.answers.lost:
            return self._null(metric, undefined, floor)
        seed = self.exam.seed_of(f"bootstrap/{metric}")
        try:
            found = estimate(statistic, texts, seed, undefined)
        except Unscorable as error:
            return self._null(metric, str(error), floor)
        return Score(
            metric,
            value=found.value,
            low=found.low,
            high=found.high,
            n=texts if n is None else n,
            trivial=trivial,
            parse_failures=self.answers.failure_rate,
            spent=self.answers.spent,
            details=self.details,
        )

    def nulls(self, metrics: Iterable[str], reason: str, floor: float | None = None) -> list[Score]:
        """No figure at all, and why; what the answers took is kept.

        Args:
            metrics: their names.
            reason: why there is none, if not for lost answers.
            floor: what each counts as, if the explanation is why it has no value.
        """
        return [self._null(metric, reason, floor) for metric in metrics]

    def _null(self, metric: str, reason: str, floor: float | None) -> Score:
        lost = bool(self.answers.lost)
        return Score(
            metric,
            None,
            _lost(self.answers) if lost else reason,
            floor=None if lost else floor,
            again=lost,
            parse_failures=self.answers.failure_rate,
            spent=self.answers.spent,
            details=self.details,
        )


def rounded(value: float) -> float:
    """A number as details show it: to four digits."""
    return float(f"{value:.4g}")


def too_few(answers: Answers[Any]) -> str:
    """Why answers say nothing of the explanation, more than half missing; else empty."""
    if answers.failure_rate <= MOST_MISSING:
        return ""
    missing = sum(value is None for value in answers.values)
    return f"{missing} of {len(answers.values)} answers of the judge cannot be used{_why(answers)}"


def _lost(answers: Answers[Any]) -> str:
    return (
        f"{answers.lost} of {len(answers.values)} answers of the judge were lost and may come "
        f"another time: evaluate again{_why(answers)}"
    )


def _why(answers: Answers[Any]) -> str:
    return f": {answers.failures[0]}" if answers.failures else ""
