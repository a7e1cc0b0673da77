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
    ) -> Score:
        """One figure with its interval; null with `undefined` as the reason if it has no value.

        Args:
            metric: its name, which also seeds the interval.
            statistic: over the texts with a usable answer.
            texts: how many these are.
            trivial: what judges who read no explanation would get.
            undefined: why it would have no value.
            n: what the value rests on if that is not the texts.
        """
        seed = self.exam.seed_of(f"bootstrap/{metric}")
        try:
            found = estimate(statistic, texts, seed, undefined)
        except Unscorable as error:
            return self._null(metric, str(error), trivial)
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

    def nulls(self, metrics: Iterable[str], reason: str) -> list[Score]:
        """No figure at all, and why; what the answers took is kept."""
        return [self._null(metric, reason, Trivial()) for metric in metrics]

    def _null(self, metric: str, reason: str, trivial: Trivial) -> Score:
        return Score(
            metric,
            None,
            reason,
            trivial=trivial,
            parse_failures=self.answers.failure_rate,
            spent=self.answers.spent,
            details=self.details,
        )


def too_few(answers: Answers[Any]) -> str:
    """Why answers say nothing of the explanation, more than half missing; else empty."""
    if answers.failure_rate <= MOST_MISSING:
        return ""
    missing = sum(value is None for value in answers.values)
    why = f": {answers.failures[0]}" if answers.failures else ""
    return f"{missing} of {len(answers.values)} answers of the judge cannot be used{why}"
