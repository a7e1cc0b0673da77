"""The input metric: do texts that should fire have larger activations than neutral ones?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.candidate import Candidate
from evaluation.exam import Exam
from evaluation.judges.judge import Judge
from evaluation.scorers.figures import Figures
from evaluation.scorers.natural import as_long_as
from evaluation.scorers.written import MeasuredText, too_few_written, usable, written
from evaluation.scores import Score, Trivial
from evaluation.statistics import Floats, Statistic, mean_of

TEXTS = 5
"""Of each kind: the first usable ones that were written."""
DRAWS = 2000
"""Pairs of groups of natural passages that show how often any explanation would succeed."""


@dataclass(frozen=True, slots=True)
class InputMetricScorer:
    """The input-based metric of arXiv 2501.08319: 1 if the explanation succeeds, else 0.

    It succeeds if the mean of the largest activations on five activating texts is above that on
    five neutral ones; a tie, such as that of silent texts, fails. The published neutral sentences
    have nothing to do with the explanation. Judge `rule` writes plain pieces of held-out text first
    where a feature should not fire, and they are what is taken as long as there are any; those of a
    language model are its texts on which the feature should not fire. What can be executed and has
    too few texts of a kind counts as a failure in comparisons.
    """

    metrics: tuple[str, ...] = ("input_metric",)
    version: int = 2

    def score(self, exam: Exam, candidate: Candidate, judge: Judge) -> list[Score]:
        """Score one explanation; null with fewer than five texts of a kind.

        Raises:
            Unscorable: the judge can do nothing with the explanation, or the feature has no scale.
        """
        texts = written(exam, candidate, judge)
        firing, neutral = usable(texts.firing)[:TEXTS], usable(texts.silent)[:TEXTS]
        details = {"firing": _mean(exam, firing), "neutral": _mean(exam, neutral)}
        figures = Figures(exam, texts.both, details)
        [metric] = self.metrics
        if reason := too_few_written(texts.firing) or too_few_written(texts.silent):
            floor = 0.0 if texts.never_fires or texts.always_fires else None
            return figures.nulls(self.metrics, reason, floor)
        return [
            figures.figure(
                metric,
                _success(firing, neutral),
                texts=2 * TEXTS,
                trivial=Trivial(prior=_by_chance(exam, [*firing, *neutral])),
                undefined="Texts of one kind only were written.",
            )
        ]


INPUT_METRIC = InputMetricScorer()


def _success(firing: Sequence[MeasuredText], neutral: Sequence[MeasuredText]) -> Statistic:
    """Whether the one mean is above the other; an item is a text, the firing ones first."""
    means = [mean_of([text.largest for text in texts]) for texts in (firing, neutral)]

    def statistic(weights: Floats) -> Floats:
        groups = np.split(weights, [len(firing)], axis=1)
        above, below = (mean(group) for mean, group in zip(means, groups, strict=True))
        gained = above - below
        return np.where(np.isnan(gained), np.nan, gained > 0)

    return statistic


def _by_chance(exam: Exam, texts: Sequence[MeasuredText]) -> float:
    """How often five natural passages, about as long as the texts, are above five others."""
    largest = as_long_as(exam, texts).largest
    random = exam.random("input metric/natural")
    drawn = largest[random.integers(len(largest), size=(DRAWS, 2, TEXTS))].mean(axis=2)
    return float((drawn[:, 0] > drawn[:, 1]).mean())


def _mean(exam: Exam, texts: Sequence[MeasuredText]) -> float | None:
    """Of the largest activations, as a share of the scale; None without any text."""
    return float(np.mean([text.largest for text in texts]) / exam.scale) if texts else None
