"""Generative accuracy: does the feature fire on texts written from an explanation alone?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from evaluation.candidate import Candidate
from evaluation.draws.drawn import window_stretch
from evaluation.exam import Exam
from evaluation.judges.judge import Answers, Judge
from evaluation.scorers.figures import Figures, rounded
from evaluation.scorers.written import (
    MeasuredText,
    WrittenTexts,
    too_few_written,
    usable,
    written,
)
from evaluation.scores import Score, Trivial
from evaluation.statistics import auroc, mean_of

NATURAL = 50
"""Pieces of held-out text that show how often any text would succeed."""

_CHANCE = Trivial(always=0.5, never=0.5, prior=0.5)


@dataclass(frozen=True, slots=True)
class GenerativeScorer:
    """SAGE's generative accuracy (arXiv 2511.20820, as its code has it), and its negatives.

    `generative` is the share of ten texts whose largest activation reaches half the mean of the
    feature's top-10 maxima. The published protocol has no text that should be silent:
    `generative_negatives` is the share of ten such texts that reach the same, where less is better,
    and `generative_auroc` how well the largest activations tell the two kinds apart.

    An executable explanation of which too few texts of a kind exist has no such figure, and counts
    in comparisons as: no success if it never fires, success of every silent text if it fires on
    everything, and an AUROC of one half either way.
    """

    metrics: tuple[str, ...] = ("generative", "generative_negatives", "generative_auroc")
    version: int = 2

    def score(self, exam: Exam, candidate: Candidate, judge: Judge) -> list[Score]:
        """Score one explanation; texts that could not be had are left out and counted.

        Raises:
            Unscorable: the judge can do nothing with the explanation, or the feature has no scale.
        """
        texts = written(exam, candidate, judge)
        generative, negatives, separation = self.metrics
        return [
            _share(exam, generative, texts.firing, 0.0 if texts.never_fires else None),
            _share(exam, negatives, texts.silent, 1.0 if texts.always_fires else None),
            _separation(exam, separation, texts),
        ]


GENERATIVE = GenerativeScorer()


def _share(exam: Exam, metric: str, answers: Answers[MeasuredText], floor: float | None) -> Score:
    """The share of texts that succeed."""
    texts = usable(answers)
    details = {"failures": list(answers.failures), "texts": [_row(exam, text) for text in texts]}
    figures = Figures(exam, answers, details)
    if reason := too_few_written(answers):
        [score] = figures.nulls([metric], reason, floor)
        return score
    natural = _natural_share(exam, [text.n_tokens for text in texts])
    return figures.figure(
        metric,
        mean_of([text.largest >= exam.threshold for text in texts]),
        texts=len(texts),
        trivial=Trivial(always=natural, never=natural, prior=natural),
        undefined="No text was written.",
    )


def _separation(exam: Exam, metric: str, texts: WrittenTexts) -> Score:
    """How well largest activations tell texts that should fire from those that should not."""
    firing, silent = usable(texts.firing), usable(texts.silent)
    maxima = [text.largest for text in (*firing, *silent)]
    details = {
        "firing": [rounded(text.largest / exam.scale) for text in firing],
        "silent": [rounded(text.largest / exam.scale) for text in silent],
    }
    figures = Figures(exam, texts.both, details)
    if reason := too_few_written(texts.firing) or too_few_written(texts.silent):
        floor = 0.5 if texts.never_fires or texts.always_fires else None
        [score] = figures.nulls([metric], reason, floor)
        return score
    return figures.figure(
        metric,
        auroc(maxima, [True] * len(firing) + [False] * len(silent)),
        texts=len(maxima),
        trivial=_CHANCE,
        undefined="Texts of one kind only were written.",
    )


def _natural_share(exam: Exam, lengths: Iterable[int]) -> float:
    """How often a piece of held-out text succeeds that is as long as one of the texts."""
    random = exam.random("natural pieces")
    text = exam.held_out
    tokens = random.integers(len(text.activations), size=NATURAL).tolist()
    maxima: list[float] = []
    for token, length in zip(tokens, cycle(lengths)):
        piece = window_stretch(text, int(text.text.windows_of(token)))
        if length < piece.end - piece.begin:
            piece = piece.placed(token, length, random)
        maxima.append(float(text.activations[piece.begin : piece.end].max()))
    return float(np.mean(np.array(maxima) >= exam.threshold))


def _row(exam: Exam, text: MeasuredText) -> dict[str, Any]:
    normalized = rounded(text.largest / exam.scale)
    return {"text": text.text, "max": rounded(text.largest), "normalized": normalized}
