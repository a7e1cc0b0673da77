"""Fuzzing: can tokens that fire be told from others by an explanation?"""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.candidate import Candidate
from evaluation.draws.passages import marked
from evaluation.exam import Exam
from evaluation.judges.judge import Judge
from evaluation.scorers.detection import decided, passages_for
from evaluation.scores import Score


@dataclass(frozen=True, slots=True)
class FuzzingScorer:
    """Delphi's fuzzing (arXiv 2410.13928) on the passages of detection.

    Marks stand where the feature fires, or in silent passages where it might be thought to; neither
    their number nor their place tells which, as they do in the published code.
    """

    metrics: tuple[str, ...] = ("fuzzing", "fuzzing_auc")
    version: int = 2

    def score(self, exam: Exam, candidate: Candidate, judge: Judge) -> list[Score]:
        """Score one explanation; texts without a usable answer are left out and counted.

        Raises:
            Unscorable: too few passages fire, or too few are silent.
        """
        texts = passages_for(exam, judge)
        answers = judge.fuzz(candidate, marked(exam, texts))
        return decided(self.metrics, exam, texts, answers)


FUZZING = FuzzingScorer()
