"""How far an explanation agrees with what the feature is known to mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.candidate import Candidate
from evaluation.exam import Exam
from evaluation.held_out import SplitText
from evaluation.judges.judge import Answers, Judge
from evaluation.scorers.figures import Figures
from evaluation.scores import Score, Trivial
from evaluation.statistics import Floats, Statistic, pooled_pearson
from evaluation.truth import Truth
from tools.errors import Unscorable

ACTIVE = 0.1
"""Share of the scale from which a token counts as active, in truth and prediction alike."""

F1, R = "recovered_f1", "recovered_r"


@dataclass(frozen=True, slots=True)
class Recovered:
    """Agreement with planted truth, token by token over the whole evaluate split.

    `recovered_f1` is the F1 of the tokens predicted to be active, `recovered_r` Pearson's r of
    predicted and true strengths. Measured activations play no part: they carry noise, the truth
    does not. Intervals come from resampling windows. What fires nowhere has an F1 of 0; r is
    undefined for what predicts the same everywhere, which counts as 0 in comparisons.
    """

    metrics: tuple[str, ...] = (F1, R)
    version: int = 2

    def score(self, exam: Exam, candidate: Candidate, judge: Judge) -> Sequence[Score]:
        """See `Scorer`; only explanations that can be executed are scored."""
        if exam.truth is None:
            raise Unscorable("the feature's meaning is not known")
        if judge.name != "rule" or candidate.predictor is None:
            raise Unscorable("needs an explanation that can be executed")
        true = exam.once("truth", lambda: true_shares(exam))
        if not (true >= ACTIVE).any():
            raise Unscorable("by its known meaning the feature never fires on the held-out text")
        predicted = candidate.predictor.predict_windows(exam.held_out.text.laid_out())
        return _figures(exam, exam.truth, predicted, true)


def true_shares(exam: Exam) -> NDArray[np.float32]:
    """Known strength of each held-out token as a share of the largest; shape (n_tokens,).

    Raises:
        Unscorable: the feature's meaning is not known.
    """
    if exam.truth is None:
        raise Unscorable("the feature's meaning is not known")
    return exam.truth.predictor.predict_windows(exam.held_out.text.laid_out())


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Tokens by prediction and truth, window by window; each of shape (n_windows,)."""

    hits: Floats
    """Predicted and truly active."""
    false_alarms: Floats
    misses: Floats
    n_tokens: int

    @classmethod
    def of(cls, text: SplitText, said: NDArray[np.bool_], true: NDArray[np.bool_]) -> Counts:
        """Count over all windows of a split; `said` and `true` have shape (n_tokens,)."""
        hits, false_alarms, misses = (
            _by_window(text, mask) for mask in (said & true, said & ~true, ~said & true)
        )
        return cls(hits, false_alarms, misses, len(true))

    @property
    def f1(self) -> Statistic:
        """Harmonic mean of precision and recall, over the tokens of all windows together."""

        def statistic(weights: Floats) -> Floats:
            hits = weights @ self.hits
            below = 2 * hits + weights @ (self.false_alarms + self.misses)
            return np.divide(2 * hits, below, out=np.full_like(hits, np.nan), where=below > 0)

        return statistic

    def trivial(self) -> Trivial:
        """F1 of yes to every token, of no to every one, and of yes at the true rate."""
        rate = float((self.hits + self.misses).sum()) / self.n_tokens
        return Trivial(always=2 * rate / (1 + rate), never=0.0, prior=rate)

    def details(self) -> dict[str, Any]:
        """Precision, which is None where nothing was predicted, recall, and their counts."""
        hits, false, missed = (
            int(part.sum()) for part in (self.hits, self.false_alarms, self.misses)
        )
        return {
            "precision": hits / (hits + false) if hits + false else None,
            "recall": hits / (hits + missed) if hits + missed else None,
            "predicted": hits + false,
            "true": hits + missed,
        }


def _by_window(text: SplitText, mask: NDArray[np.bool_]) -> Floats:
    sums = np.concatenate([[0], np.cumsum(mask)])
    return np.diff(sums[text.starts]).astype(np.float64)


def _figures(
    exam: Exam, truth: Truth, predicted: NDArray[np.float32], true: NDArray[np.float32]
) -> list[Score]:
    text = exam.held_out.text
    counts = Counts.of(text, predicted >= ACTIVE, true >= ACTIVE)
    details = {"family": truth.family, "truth": truth.statement, **counts.details()}
    figures = Figures(exam, Answers(()), details)
    f1 = figures.figure(
        F1,
        counts.f1,
        texts=len(text.tokens),
        trivial=counts.trivial(),
        undefined="nothing is active, truly or by the explanation",
        n=len(true),
    )
    r = figures.figure(
        R,
        pooled_pearson(text.split(predicted), text.split(true)),
        texts=len(text.tokens),
        trivial=Trivial(prior=0.0),
        undefined="the explanation or the truth is the same for every token: nothing correlates",
        n=len(true),
        floor=0.0 if np.ptp(true) > 0 else None,
    )
    return [f1, r]


RECOVERED = Recovered()
