"""Detection: can passages that fire be told from others by an explanation?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.candidate import Candidate
from evaluation.draws.drawn import DrawnText
from evaluation.draws.passages import fire_or_not
from evaluation.exam import Exam
from evaluation.judges.judge import Answers, Detection, Judge
from evaluation.scorers.figures import Figures, rounded, too_few
from evaluation.scores import Score, Trivial
from evaluation.statistics import auroc, balanced_accuracy

PER_DECILE = 5
"""Passages that fire from each tenth of the ranking; 50 in all, and 50 that do not."""

PER_DECILE_ASKED = 2
"""The same for a judge whose answers cost: 20 and 20."""

_TRIVIAL = Trivial(always=0.5, never=0.5, prior=0.5)
_UNDEFINED = "Usable answers came only for passages that fire, or only for others."


@dataclass(frozen=True, slots=True)
class DetectionScorer:
    """Delphi's detection (arXiv 2410.13928) with measured negatives, one half near misses.

    Balanced accuracy of the decisions, and the area under the ROC curve of the scores. A passage
    fires from a tenth of the feature's scale and is silent without any activation, so that who
    predicts weak noise to be nothing can be right everywhere. Near misses hold tokens on which the
    feature fires elsewhere: token tables fall for many of them by construction.
    """

    metrics: tuple[str, ...] = ("detection", "detection_auc")
    version: int = 2

    def score(self, exam: Exam, candidate: Candidate, judge: Judge) -> list[Score]:
        """Score one explanation; texts without a usable answer are left out and counted.

        Raises:
            Unscorable: too few passages fire, or too few are silent.
        """
        texts = passages_for(exam, judge)
        answers = judge.detect(candidate, [text.passage for text in texts])
        return decided(self.metrics, exam, texts, answers)


DETECTION = DetectionScorer()


def passages_for(exam: Exam, judge: Judge) -> list[DrawnText]:
    """The passages that a judge is asked about: fewer for one whose answers cost.

    Raises:
        Unscorable: too few passages fire, or too few are silent.
    """
    return fire_or_not(exam, PER_DECILE_ASKED if judge.asks else PER_DECILE)


def decided(
    metrics: Sequence[str], exam: Exam, texts: Sequence[DrawnText], answers: Answers[Detection]
) -> list[Score]:
    """Balanced accuracy and area under the ROC curve of what a judge says of passages."""
    answered = [
        (text, said) for text, said in zip(texts, answers.values, strict=True) if said is not None
    ]
    figures = Figures(exam, answers, _details(answers, answered))
    if reason := too_few(answers):
        return figures.nulls(metrics, reason)
    true = [text.kind == "firing" for text, _ in answered]
    statistics = (
        balanced_accuracy([said.fires for _, said in answered], true),
        auroc([said.score for _, said in answered], true),
    )
    return [
        figures.figure(
            metric, statistic, texts=len(answered), trivial=_TRIVIAL, undefined=_UNDEFINED
        )
        for metric, statistic in zip(metrics, statistics, strict=True)
    ]


def _details(
    answers: Answers[Detection], answered: Sequence[tuple[DrawnText, Detection]]
) -> Mapping[str, Any]:
    rows = [
        {
            "id": text.passage.id,
            "kind": text.kind,
            "fires": text.kind == "firing",
            "said": said.fires,
            "score": rounded(said.score),
        }
        for text, said in answered
    ]
    kinds = sorted({text.kind for text, _ in answered})
    right = {
        kind: float(np.mean([row["said"] == row["fires"] for row in rows if row["kind"] == kind]))
        for kind in kinds
    }
    return {
        "how": answers.how,
        "failures": list(answers.failures),
        "right_by_kind": right,
        "texts": rows,
    }
