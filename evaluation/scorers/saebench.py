"""SAEBench's automated interpretability: which of fourteen windows fire?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.candidate import Candidate
from evaluation.draws.centres import RANDOM, TOP, WEIGHTED, centred_windows
from evaluation.draws.drawn import DrawnText
from evaluation.exam import Exam
from evaluation.judges.judge import Answers, Judge
from evaluation.scorers.figures import Figures, too_few
from evaluation.scores import Score, Trivial
from evaluation.statistics import balanced_accuracy, mean_of

ACTIVE = 0.01
"""A window is active above this share of the feature's largest activation on the split."""

_YES = (TOP + WEIGHTED) / (TOP + WEIGHTED + RANDOM)
_TRIVIAL = Trivial(always=_YES, never=1 - _YES, prior=_YES**2 + (1 - _YES) ** 2)
_TRIVIAL_MEASURED = Trivial(always=0.5, never=0.5, prior=0.5)


@dataclass(frozen=True, slots=True)
class SAEBenchScorer:
    """SAEBench's automated interpretability (arXiv 2503.09532, as its code has it).

    `saebench` is the accuracy as published, where random windows count as inactive unseen;
    `saebench_measured` is the balanced accuracy of the same answer with every window measured.
    """

    metrics: tuple[str, ...] = ("saebench", "saebench_measured")
    version: int = 2

    def score(self, exam: Exam, candidate: Candidate, judge: Judge) -> list[Score]:
        """Score one explanation.

        Raises:
            Unscorable: the feature fires on too few tokens.
        """
        texts = centred_windows(exam)
        answers = judge.pick(candidate, [text.passage for text in texts])
        [picked] = answers.values
        if picked is None:
            return Figures(exam, answers, {"failures": list(answers.failures)}).nulls(
                self.metrics, too_few(answers)
            )
        said = np.isin(np.arange(len(texts)), list(picked))
        assumed = np.array([text.kind != "random" for text in texts])
        least = ACTIVE * exam.held_out.activations.max()
        measured = np.array([text.passage.activations.max() > least for text in texts])
        figures = Figures(exam, answers, _details(answers, texts, said, measured))
        published, corrected = self.metrics
        return [
            figures.figure(
                published,
                mean_of(said == assumed),
                texts=len(texts),
                trivial=_TRIVIAL,
                undefined="There is no window.",
            ),
            figures.figure(
                corrected,
                balanced_accuracy(said, measured),
                texts=len(texts),
                trivial=_TRIVIAL_MEASURED,
                undefined=f"As measured, all {len(texts)} windows are active, or none is.",
            ),
        ]


SAEBENCH = SAEBenchScorer()


def _details(
    answers: Answers[Any],
    texts: Sequence[DrawnText],
    said: NDArray[np.bool_],
    measured: NDArray[np.bool_],
) -> dict[str, Any]:
    rows = [
        {
            "id": text.passage.id,
            "kind": text.kind,
            "said": bool(picked),
            "active": bool(active),
        }
        for text, picked, active in zip(texts, said, measured, strict=True)
    ]
    return {"how": answers.how, "texts": rows}
