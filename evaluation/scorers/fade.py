"""FADE: clarity, responsiveness and purity of an explanation (arXiv 2502.16994)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.candidate import Candidate
from evaluation.exam import Exam
from evaluation.held_out import Passage
from evaluation.judges.judge import Answers, Judge
from evaluation.scorers.figures import Figures, rounded, too_few
from evaluation.scorers.natural import as_long_as, natural_text
from evaluation.scorers.written import too_few_written, usable, written
from evaluation.scores import Score, Trivial
from evaluation.statistics import Floats, Statistic, auroc, average_precision

LENGTH = 32
"""Tokens of a passage that is rated; written texts are compared with passages of their length."""
NATURAL = 500
"""Passages that are rated, and as many drawn by chance that written texts are compared with."""
NATURAL_ASKED = 100
"""Passages that a language model rates, each of whose answers costs."""
FROM_THE_TOP = 0.1
"""Share of the rated passages with the strongest activations; the others are drawn by chance."""
CLEARLY, NOT = 2, 0
"""Ratings that are compared; what is in between is left out, as published."""

_NO_ORDER = Trivial(prior=0.0)
"""One rating for everything compares nothing; ratings by chance tell nothing apart."""


@dataclass(frozen=True, slots=True)
class FadeScorer:
    """FADE's measures that need no steering; a text counts by its strongest activation.

    Clarity compares the ten texts that were written to fire (FADE has fifteen calls for them) with
    natural ones of about as many tokens; responsiveness compares natural texts that the judge rates
    to show clearly what is described with those that do not; purity is the average precision on the
    same. The first two are |2 * AUROC - 1| as published, so that a description of what silences the
    feature scores like a good one: the signed figures are 2 * AUROC - 1.

    What can be executed and tells no natural texts apart, or has too few texts that fire, counts in
    comparisons as 0 in responsiveness or clarity, signed or not: what telling apart by chance would
    get. Purity has nothing of the kind. By chance it is about the share of texts that show what is
    described, and where that is none or all there is no such share.
    """

    metrics: tuple[str, ...] = (
        "fade_clarity",
        "fade_responsiveness",
        "fade_purity",
        "fade_clarity_signed",
        "fade_responsiveness_signed",
    )
    version: int = 3

    def score(self, exam: Exam, candidate: Candidate, judge: Judge) -> list[Score]:
        """Score one explanation.

        Raises:
            Unscorable: the judge can do nothing with the explanation, or the feature has no scale.
        """
        found = {score.metric: score for score in _clarity(exam, candidate, judge)}
        found |= {score.metric: score for score in _ratings(exam, candidate, judge)}
        return [found[metric] for metric in self.metrics]


FADE = FadeScorer()


def _clarity(exam: Exam, candidate: Candidate, judge: Judge) -> list[Score]:
    """How far written texts are above natural ones."""
    texts = written(exam, candidate, judge)
    firing = usable(texts.firing)
    strongest = [text.strongest for text in firing]
    figures = Figures(exam, texts.firing, {"written": _shares(exam, strongest)})
    if reason := too_few_written(texts.firing):
        names = ("fade_clarity", "fade_clarity_signed")
        return figures.nulls(names, reason, 0.0 if texts.never_fires else None)
    natural = as_long_as(exam, firing).strongest
    drawn = exam.random("fade/clarity").permutation(natural)[:NATURAL]
    values = np.array([*strongest, *drawn])
    told = np.arange(len(values)) < len(firing)
    signed = figures.figure(
        "fade_clarity_signed",
        _signed(auroc(values, told)),
        texts=len(values),
        trivial=_NO_ORDER,
        undefined="There is no natural text.",
    )
    return [_absolute(signed, "fade_clarity", _by_chance(values, told)), signed]


def _ratings(exam: Exam, candidate: Candidate, judge: Judge) -> list[Score]:
    """How far passages that are rated to show what is described are above those that do not."""
    n_rated = NATURAL_ASKED if judge.asks else NATURAL
    passages, strongest = _rated(exam, n_rated)
    answers = judge.rate(candidate, passages)
    by_rating = {
        rating: strongest[[said == rating for said in answers.values]] for rating in (0, 1, 2)
    }
    figures = Figures(exam, answers, _details(exam, answers, by_rating))
    if reason := too_few(answers) or _one_sided(by_rating):
        names = ("fade_responsiveness", "fade_responsiveness_signed")
        separations = figures.nulls(names, reason, None if judge.asks else 0.0)
        return [*separations, *figures.nulls(["fade_purity"], reason)]
    values = np.concatenate([by_rating[CLEARLY], by_rating[NOT]])
    clear = np.arange(len(values)) < len(by_rating[CLEARLY])
    signed = figures.figure(
        "fade_responsiveness_signed",
        _signed(auroc(values, clear)),
        texts=len(values),
        trivial=_NO_ORDER,
        undefined=_one_sided(by_rating),
    )
    purity = figures.figure(
        "fade_purity",
        average_precision(values, clear),
        texts=len(values),
        trivial=Trivial(prior=_precision_by_chance(values, clear)),
        undefined=_one_sided(by_rating),
    )
    return [_absolute(signed, "fade_responsiveness", _by_chance(values, clear)), signed, purity]


def _details(exam: Exam, answers: Answers[int], by_rating: Mapping[int, Floats]) -> dict[str, Any]:
    rated = {
        str(rating): {"n": len(values), "mean": float(values.mean() / exam.scale)}
        for rating, values in by_rating.items()
        if len(values)
    }
    return {"rated": rated, "failures": list(answers.failures)}


def _one_sided(by_rating: Mapping[int, Floats]) -> str:
    """Why ratings compare nothing; empty if they do."""
    n_rated = sum(map(len, by_rating.values()))
    missing = [str(rating) for rating in (NOT, CLEARLY) if not len(by_rating[rating])]
    return f"none of {n_rated} natural passages is rated {' or '.join(missing)}" if missing else ""


def _rated(exam: Exam, count: int) -> tuple[list[Passage], Floats]:
    """The passages to be rated, in random order, and the strongest activation on each."""

    def draw() -> tuple[list[Passage], Floats]:
        natural = natural_text(exam, LENGTH)
        random = exam.random("fade/rated")
        shuffled = random.permutation(len(natural.passages))
        ranked = shuffled[np.argsort(-natural.strongest[shuffled], kind="stable")]
        n_top = round(FROM_THE_TOP * min(count, len(ranked)))
        others = random.permutation(ranked[n_top:])[: count - n_top]
        chosen = random.permutation(np.concatenate([ranked[:n_top], others]))
        text = exam.held_out
        places: list[int] = chosen.tolist()
        passages = [natural.passages[at].passage(text, context=True) for at in places]
        return passages, natural.strongest[chosen]

    return exam.once(("fade/rated", count), draw)


def _shares(exam: Exam, values: Sequence[float]) -> list[float]:
    return [rounded(value / exam.scale) for value in values]


def _signed(separation: Statistic) -> Statistic:
    """From an AUROC to 2 * AUROC - 1."""
    return lambda weights: 2 * separation(weights) - 1


def _absolute(signed: Score, metric: str, chance: float) -> Score:
    """The distance from chance, whichever way, that FADE publishes.

    Its interval is that of the signed figure, folded: resamples of an absolute value lie above it.
    """
    if signed.value is None:
        return replace(signed, metric=metric)
    ends = [abs(end) for end in (signed.low, signed.high) if end is not None]
    straddles = (
        signed.low is not None and signed.high is not None and signed.low <= 0 <= signed.high
    )
    return replace(
        signed,
        metric=metric,
        value=abs(signed.value),
        low=0.0 if straddles else min(ends, default=None),
        high=max(ends, default=None),
        trivial=Trivial(prior=chance),
    )


def _by_chance(values: ArrayLike, told: NDArray[np.bool_]) -> float:
    """Expected |2 * AUROC - 1| of labels given at random, from its normal approximation.

    The variance is that of the Mann-Whitney statistic, with its correction for ties.
    """
    n, positive = len(told), int(told.sum())
    _, tied = np.unique(np.asarray(values), return_counts=True)
    correction = float((tied**3.0 - tied).sum()) / (n * (n - 1))
    variance = (n + 1 - correction) / (12 * positive * (n - positive))
    return 2 * math.sqrt(2 / math.pi * variance)


def _precision_by_chance(values: ArrayLike, told: NDArray[np.bool_]) -> float:
    """Expected average precision of labels given at random, which is exact.

    It is a little above the share of positives if these are few: a first hit counts by its rank.
    """
    n, positive = len(told), int(told.sum())
    _, tied = np.unique(-np.asarray(values), return_counts=True)
    shown = np.cumsum(tied)
    # Given that an item is a hit, each of the others is one of the hits that are left.
    expected_hits = 1 + (shown - 1) * (positive - 1) / (n - 1)
    return float((tied / n * expected_hits / shown).sum())
