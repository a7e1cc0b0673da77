"""Statistics of scores: each can be had for the sample as it is, and for bootstrap resamples of it.

A statistic is a function of weights: how often each item (a text) is in a resample. So a thousand
resamples are a few matrix products, and the value itself is the case that every weight is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from tools.errors import Unscorable

Floats = NDArray[np.float64]

Statistic = Callable[[Floats], Floats]
"""Weights of shape (n_resamples, n_items) to one value per resample, NaN where it is undefined."""

RESAMPLES = 1000
CONFIDENCE = 0.95

_MOST_COUNTED = 50
"""Pairs that differ, up to which every choice of signs is counted; more are nearly normal."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % percentile bootstrap interval."""

    value: float
    low: float | None
    """None where too few resamples have a value: with one item, say, or one of a class."""
    high: float | None


def estimate(statistic: Statistic, n_items: int, seed: int, undefined: str) -> Estimate:
    """A statistic with its interval, from resamples of the items with replacement.

    Args:
        statistic: what to compute.
        n_items: how many items it has.
        seed: of the resampling.
        undefined: why it would have no value, for the error.

    Raises:
        Unscorable: it is undefined for the sample as it is.
    """
    value = float(statistic(np.ones((1, n_items)))[0]) if n_items else float("nan")
    if not np.isfinite(value):
        raise Unscorable(undefined)
    resampled = statistic(_resamples(n_items, seed))
    defined = resampled[np.isfinite(resampled)]
    if n_items < 2 or len(defined) < RESAMPLES / 2:
        return Estimate(value, None, None)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))


def _resamples(n_items: int, seed: int) -> Floats:
    """How often each item is in each resample; shape (RESAMPLES, n_items)."""
    drawn = np.random.default_rng(seed).integers(n_items, size=(RESAMPLES, n_items))
    # Several times as fast as multinomial counts, which take most of an evaluation's time.
    places = drawn + n_items * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(places.ravel(), minlength=RESAMPLES * n_items)
    return counts.reshape(RESAMPLES, n_items).astype(np.float64)


def mean_of(values: ArrayLike) -> Statistic:
    """The mean of one number per item."""
    numbers = np.asarray(values, np.float64)

    def statistic(weights: Floats) -> Floats:
        return _ratio(weights @ numbers, weights.sum(axis=1))

    return statistic


def pooled_pearson(
    predicted: Sequence[NDArray[np.floating]], actual: Sequence[NDArray[np.floating]]
) -> Statistic:
    """Pearson's r over the tokens of all texts together; an item is a text.

    Args:
        predicted: per text, one number per token.
        actual: the same shape.
    """
    pairs = zip(_centred(predicted), _centred(actual), strict=True)
    sums = np.array([_moments(x, y) for x, y in pairs])

    def statistic(weights: Floats) -> Floats:
        n, sx, sy, sxx, syy, sxy = (weights @ sums).T
        spread = np.sqrt(_spread(n, sx, sxx)) * np.sqrt(_spread(n, sy, syy))
        return np.clip(_ratio(n * sxy - sx * sy, spread), -1.0, 1.0)

    return statistic


def balanced_accuracy(said: ArrayLike, true: ArrayLike) -> Statistic:
    """Mean of the share of true items said to be true and of false ones said to be false."""
    says, truth = np.asarray(said, bool), np.asarray(true, bool)

    def statistic(weights: Floats) -> Floats:
        hits = _ratio(weights @ (says & truth), weights @ truth)
        rejections = _ratio(weights @ (~says & ~truth), weights @ ~truth)
        return (hits + rejections) / 2

    return statistic


def auroc(scores: ArrayLike, true: ArrayLike) -> Statistic:
    """Chance that a true item scores above a false one; ties count half."""
    numbers, truth = np.asarray(scores, np.float64), np.asarray(true, bool)
    above, below = numbers[truth][:, None], numbers[~truth][None, :]
    wins = (above > below) + 0.5 * (above == below)

    def statistic(weights: Floats) -> Floats:
        positive, negative = weights[:, truth], weights[:, ~truth]
        won = ((positive @ wins) * negative).sum(axis=1)
        return _ratio(won, positive.sum(axis=1) * negative.sum(axis=1))

    return statistic


def average_precision(scores: ArrayLike, true: ArrayLike) -> Statistic:
    """Mean over the true items of the precision down to each; tied items count together."""
    numbers, truth = np.asarray(scores, np.float64), np.asarray(true, bool)
    order = np.argsort(-numbers, kind="stable")
    ends = np.flatnonzero(np.diff(numbers[order], append=np.nan) != 0)

    def statistic(weights: Floats) -> Floats:
        sorted_weights = weights[:, order]
        found = np.cumsum(sorted_weights * truth[order], axis=1)[:, ends]
        shown = np.cumsum(sorted_weights, axis=1)[:, ends]
        precision = np.divide(found, shown, out=np.zeros_like(found), where=shown > 0)
        gained = np.diff(found, axis=1, prepend=0.0)
        return _ratio((precision * gained).sum(axis=1), found[:, -1])

    return statistic


@dataclass(frozen=True, slots=True)
class Paired:
    """How one explainer compares with another on the features that both have a score for."""

    n: int
    difference: Estimate
    """Mean difference over the features."""
    p: float | None
    """Of Wilcoxon's signed-rank test, two-sided; None where no feature differs."""
    wins: int
    ties: int
    losses: int


def paired(ours: ArrayLike, theirs: ArrayLike, seed: int) -> Paired:
    """Compare paired scores.

    Raises:
        Unscorable: there is no pair.
    """
    differences = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    difference = estimate(
        mean_of(differences), len(differences), seed, "no feature has both scores"
    )
    return Paired(
        n=len(differences),
        difference=difference,
        p=_wilcoxon(differences),
        wins=int((differences > 0).sum()),
        ties=int((differences == 0).sum()),
        losses=int((differences < 0).sum()),
    )


def _wilcoxon(differences: Floats) -> float | None:
    moved = differences[differences != 0]
    if not len(moved):
        return None
    if len(moved) > _MOST_COUNTED:
        return float(stats.wilcoxon(moved, method="asymptotic").pvalue)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType, reportAttributeAccessIssue]
    # scipy would try every choice of signs one by one where there are ties. Ties have half ranks.
    ranks: list[int] = np.rint(2 * stats.rankdata(np.abs(moved))).astype(int).tolist()
    chances = np.ones(1)
    for rank in ranks:
        chances = (np.pad(chances, (0, rank)) + np.pad(chances, (rank, 0))) / 2
    middle = sum(ranks) / 2
    observed = sum(rank for rank, gain in zip(ranks, moved > 0, strict=True) if gain)
    extreme = np.abs(np.arange(len(chances)) - middle) >= abs(observed - middle)
    return float(min(1.0, chances[extreme].sum()))


def _moments(x: Floats, y: Floats) -> tuple[float, ...]:
    return (len(x), x.sum(), y.sum(), np.dot(x, x), np.dot(y, y), np.dot(x, y))


def _centred(items: Sequence[NDArray[np.floating]]) -> list[Floats]:
    """Around their common mean, in units of the largest: sums of squares lose digits elsewhere."""
    values = [np.asarray(item, np.float64) for item in items]
    pooled = np.concatenate([*values, np.zeros(0)])
    unit = np.abs(pooled).max(initial=0.0) or 1.0
    middle = pooled.sum() / max(1, len(pooled))
    return [(item - middle) / unit for item in values]


def _spread(n: Floats, total: Floats, squares: Floats) -> Floats:
    """Square of n times the deviation; NaN where it is but rounding: a constant has no r."""
    spread = n * squares - total**2
    return np.where(spread > np.maximum(1e-9 * squares, (1e-12 * n) ** 2), spread, np.nan)


def _ratio(above: Floats, below: Floats) -> Floats:
    result = np.full(np.broadcast(above, below).shape, np.nan)
    return np.divide(above, below, out=result, where=below > 0)
