"""Predictive accuracy: can activations be predicted token by token from an explanation?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.candidate import Candidate
from evaluation.draws.drawn import DrawnText
from evaluation.draws.snippets import balanced_snippets, sage_snippets
from evaluation.exam import Exam
from evaluation.judges.judge import Answers, Judge
from evaluation.scorers.figures import Figures, rounded, too_few
from evaluation.scores import Score, Trivial
from evaluation.statistics import pooled_pearson

_TRIVIAL = Trivial(prior=0.0)
"""A constant prediction correlates with nothing; random ones do so with 0 on average."""


@dataclass(frozen=True, slots=True)
class Predictive:
    """Pearson's r between predicted and measured activations, over the tokens of all texts."""

    metrics: tuple[str, ...]
    draw: Callable[[Exam], Sequence[DrawnText]]
    per_token: bool = False
    """Whether a language model is asked once per token."""
    near_misses: bool = False
    """Whether some texts are near misses; what r is without them is then among the details."""
    version: int = 2

    def score(self, exam: Exam, candidate: Candidate, judge: Judge) -> list[Score]:
        """Score one explanation; texts without a usable answer are left out and counted.

        Raises:
            Unscorable: there are too few texts.
        """
        texts = self.draw(exam)
        answers = judge.simulate(
            candidate, [text.passage for text in texts], per_token=self.per_token
        )
        answered = [
            (text, predicted)
            for text, predicted in zip(texts, answers.values, strict=True)
            if predicted is not None
        ]
        details = _details(answers, answered)
        if self.near_misses:
            details["r_without_near_misses"] = _without_near_misses(answered)
        figures = Figures(exam, answers, details)
        if reason := too_few(answers):
            return figures.nulls(self.metrics, reason)
        predicted = [values for _, values in answered]
        actual = [text.passage.activations for text, _ in answered]
        [metric] = self.metrics
        return [
            figures.figure(
                metric,
                pooled_pearson(predicted, actual),
                texts=len(answered),
                n=sum(map(len, actual)),
                trivial=_TRIVIAL,
                undefined=_why_undefined(predicted, actual),
                floor=None if _same(actual) else 0.0,
            )
        ]


SAGE = Predictive(("predictive_sage",), sage_snippets)
"""SAGE's protocol (arXiv 2511.20820, as its code has it): ten texts that fire, cut out of their
context; a rule that fires on too much is not found out, as no text was drawn that should be silent.
"""

SAGE_PER_TOKEN = Predictive(("predictive_sage_per_token",), sage_snippets, per_token=True)
"""The same texts, with one request to a language model per token, as in SAGE's code."""

BALANCED = Predictive(("predictive_balanced",), balanced_snippets, near_misses=True)
"""SAGE's bands with as many near misses and random texts, in context. Token tables fire on many of
the near misses by construction."""


def _why_undefined(
    predicted: Sequence[NDArray[np.float64]], actual: Sequence[NDArray[np.float32]]
) -> str:
    same = "measured activation" if _same(actual) else "prediction"
    n_tokens = sum(map(len, actual))
    return f"Pearson's r is undefined because the {same} is the same on all {n_tokens} tokens."


def _same(texts: Sequence[NDArray[np.floating]]) -> bool:
    values = np.concatenate(texts).astype(np.float64)
    return np.allclose(values, values[0], rtol=1e-9, atol=0)


def _without_near_misses(
    answered: Sequence[tuple[DrawnText, NDArray[np.float64]]],
) -> float | None:
    others = [(text, values) for text, values in answered if text.kind != "near_miss"]
    statistic = pooled_pearson(
        [values for _, values in others], [text.passage.activations for text, _ in others]
    )
    r = float(statistic(np.ones((1, len(others))))[0]) if others else math.nan
    return None if math.isnan(r) else rounded(r)


def _details(
    answers: Answers[Any], answered: Sequence[tuple[DrawnText, NDArray[np.float64]]]
) -> dict[str, Any]:
    rows = [
        {
            "id": text.passage.id,
            "kind": text.kind,
            "predicted": _rounded(predicted),
            "actual": _rounded(text.passage.activations),
        }
        for text, predicted in answered
    ]
    return {"how": answers.how, "failures": list(answers.failures), "texts": rows}


def _rounded(values: NDArray[np.floating]) -> list[float]:
    return [rounded(value) for value in values.tolist()]
