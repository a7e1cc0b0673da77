"""The input metric: do texts that should fire have larger activations than neutral ones?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.candidate import Candidate
from evaluation.exam import Exam
from evaluation.judges.judge import Answers, Judge
from evaluation.scorers.written import MeasuredText, too_few_written, usable, written
from evaluation.scores import Score, Trivial
from tools.errors import Unscorable
from tools.llm.costs import total

TEXTS = 5
"""Of each kind: the first usable ones that were written."""


@dataclass(frozen=True, slots=True)
class InputMetricScorer:
    """The input-based metric of arXiv 2501.08319: 1 if the explanation succeeds, else 0.

    It succeeds if the mean of the largest activations on five activating texts is above that on
    five neutral ones; a tie, such as that of silent texts, fails.
    """

    metrics: tuple[str, ...] = ("input_metric",)
    version: int = 1

    def score(self, exam: Exam, candidate: Candidate, judge: Judge) -> list[Score]:
        """Score one explanation.

        Raises:
            Unscorable: fewer than five texts of a kind could be had, or the feature has no scale.
        """
        texts = written(exam, candidate, judge)
        kinds = (texts.firing, texts.silent)
        for answers in kinds:
            if reason := too_few_written(answers):
                raise Unscorable(reason)
        firing, neutral = (_mean(answers) / exam.scale for answers in kinds)
        [metric] = self.metrics
        values = [value for answers in kinds for value in answers.values]
        return [
            Score(
                metric,
                value=float(firing > neutral),
                n=2 * TEXTS,
                trivial=Trivial(prior=0.5),
                parse_failures=sum(value is None for value in values) / len(values),
                spent=total(answers.spent for answers in kinds),
                details={"firing": firing, "neutral": neutral, "difference": firing - neutral},
            )
        ]


INPUT_METRIC = InputMetricScorer()


def _mean(answers: Answers[MeasuredText]) -> float:
    texts: Sequence[MeasuredText] = usable(answers)[:TEXTS]
    return float(np.mean([text.largest for text in texts]))
