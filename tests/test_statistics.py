"""Statistics of scores: by hand, against scipy, and what their intervals promise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from evaluation.statistics import (
    Statistic,
    auroc,
    average_precision,
    balanced_accuracy,
    estimate,
    mean_of,
    paired,
    pooled_pearson,
)
from tools.errors import Unscorable


def value(statistic: Statistic, n_items: int) -> float:
    return float(statistic(np.ones((1, n_items)))[0])


def texts(seed: int, lengths: Sequence[int]) -> list[NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    return [random.gamma(0.5, size=length) for length in lengths]


# Weights are repetitions


@pytest.mark.parametrize("name", ["mean", "pearson", "balanced", "auroc", "precision"])
def test_a_weight_counts_like_a_repeated_item(name: str) -> None:
    random = np.random.default_rng(3)
    numbers = random.integers(0, 4, 12).astype(float)
    true = random.random(12) < 0.4
    said = random.random(12) < 0.5
    lengths = random.integers(1, 6, 12).tolist()
    predicted, actual = texts(1, lengths), texts(2, lengths)

    def made(items: Sequence[int]) -> Statistic:
        chosen = list(items)
        return {
            "mean": lambda: mean_of(numbers[chosen]),
            "pearson": lambda: pooled_pearson(
                [predicted[i] for i in chosen], [actual[i] for i in chosen]
            ),
            "balanced": lambda: balanced_accuracy(said[chosen], true[chosen]),
            "auroc": lambda: auroc(numbers[chosen], true[chosen]),
            "precision": lambda: average_precision(numbers[chosen], true[chosen]),
        }[name]()

    weights = random.multinomial(12, np.full(12, 1 / 12), size=20)
    weighted = made(range(12))(weights.astype(float))
    for row, found in zip(weights, weighted, strict=True):
        repeated = np.repeat(np.arange(12), row).tolist()
        assert found == pytest.approx(value(made(repeated), len(repeated)), nan_ok=True)


# Pearson's r


def test_r_is_pooled_over_tokens_not_averaged_over_texts() -> None:
    predicted = [np.array([0.0, 1.0]), np.array([5.0, 6.0])]
    actual = [np.array([1.0, 0.0]), np.array([6.0, 5.0])]
    # Within each text r is -1; pooled: means 3 and 3, sum of products 24, of squares 26.
    assert value(pooled_pearson(predicted, actual), 2) == pytest.approx(24 / 26)


def test_r_is_scipys() -> None:
    lengths = [11, 6, 1, 30]
    predicted, actual = texts(5, lengths), texts(6, lengths)
    expected = stats.pearsonr(np.concatenate(predicted), np.concatenate(actual)).statistic
    for scale, shift in ((1.0, 0.0), (1e-9, 0.0), (1e6, 1e7)):
        moved = [scale * item + shift for item in actual]
        assert value(pooled_pearson(predicted, moved), 4) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "constant", [0.0, 0.3, 1e6, 1e-30], ids=["zero", "inexact", "large", "small"]
)
def test_r_of_a_constant_is_undefined(constant: float) -> None:
    noise = texts(1, [5, 7])
    same = [np.full(5, constant), np.full(7, constant)]
    same[0][2] *= 1 + 4e-16
    assert math.isnan(value(pooled_pearson(same, noise), 2))
    assert math.isnan(value(pooled_pearson(noise, same), 2))
    with pytest.raises(Unscorable, match="constant"):
        estimate(pooled_pearson(same, noise), 2, 0, "constant")


def test_r_takes_single_precision_and_texts_that_resample_to_a_constant() -> None:
    predicted = [np.array([1, 2], np.float32), np.zeros(3, np.float32)]
    actual = [np.array([10, 20], np.float32), np.zeros(3, np.float32)]
    found = estimate(pooled_pearson(predicted, actual), 2, 0, "")
    # A quarter of the resamples is the second text twice, which has no r.
    assert (found.value, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))


# Classes


def test_balanced_accuracy_by_hand() -> None:
    said = [True, True, False, True, False, False, False, False]
    true = [True, True, True, False, False, False, False, False]
    assert value(balanced_accuracy(said, true), 8) == pytest.approx((2 / 3 + 4 / 5) / 2)


@pytest.mark.parametrize("says", [True, False])
def test_always_and_never_are_half_right_however_rare_the_truth_is(says: bool) -> None:
    assert value(balanced_accuracy([says] * 14, [True] * 4 + [False] * 10), 14) == 0.5


@pytest.mark.parametrize("only", [True, False])
def test_one_class_alone_has_no_score(only: bool) -> None:
    for statistic in (balanced_accuracy([True] * 5, [only] * 5), auroc(range(5), [only] * 5)):
        assert math.isnan(value(statistic, 5))
        with pytest.raises(Unscorable, match="one class"):
            estimate(statistic, 5, 0, "one class")


def test_auroc_by_hand_with_ties() -> None:
    # Pairs: 3 over 2 and 1 wins twice, 2 over 2 ties, over 1 wins: 3.5 of 4.
    assert value(auroc([3, 2, 2, 1], [True, True, False, False]), 4) == 3.5 / 4


def test_auroc_is_mann_whitney() -> None:
    random = np.random.default_rng(0)
    scores, true = random.integers(0, 9, 60), random.random(60) < 0.3
    u = stats.mannwhitneyu(scores[true], scores[~true]).statistic
    assert value(auroc(scores, true), 60) == pytest.approx(u / (true.sum() * (~true).sum()))


def test_average_precision_by_hand() -> None:
    # True items at ranks 1 and 3: (1/1 + 2/3) / 2.
    assert value(average_precision([4, 3, 2, 1], [1, 0, 1, 0]), 4) == pytest.approx(5 / 6)
    # Both at a shared rank with one false item: 2 of 3 found there, whatever their order.
    for true in ([1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 0]):
        assert value(average_precision([7, 7, 7, 1], true), 4) == pytest.approx(2 / 3)
    # Half is found among the first two at 1/2, the rest at the end at 2/4.
    assert value(average_precision([2, 2, 1, 1], [1, 0, 1, 0]), 4) == pytest.approx(0.5)


def test_average_precision_of_a_constant_is_the_base_rate_and_of_no_true_item_undefined() -> None:
    assert value(average_precision(np.zeros(10), np.arange(10) < 3), 10) == pytest.approx(0.3)
    assert math.isnan(value(average_precision(np.arange(4.0), np.zeros(4)), 4))


# Intervals


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(11)
    n, rounds, mean = 40, 300, 5.0
    samples = random.normal(mean, 2.0, size=(rounds, n))
    found = [estimate(mean_of(sample), n, seed, "") for seed, sample in enumerate(samples)]
    covered = [low <= mean <= high for low, high in ((f.low or 0, f.high or 0) for f in found)]
    # 95 %, less the percent or so that percentile intervals miss at this size; 4 deviations wide.
    assert 0.885 <= np.mean(covered) <= 0.985
    standard = [(f.high - f.low) / (2 * 1.96) for f in found if f.high and f.low]
    assert np.mean(standard) == pytest.approx(2.0 / math.sqrt(n), rel=0.05)


def test_equal_seeds_give_equal_intervals_and_others_do_not() -> None:
    statistic = mean_of(texts(4, [25])[0])
    first, again, other = (estimate(statistic, 25, seed, "") for seed in (7, 7, 8))
    assert first == again
    assert first.value == other.value
    assert first.low != other.low


def test_one_item_has_a_value_and_no_interval() -> None:
    found = estimate(mean_of([3.0]), 1, 0, "")
    assert (found.value, found.low, found.high) == (3.0, None, None)


def test_no_interval_where_most_resamples_have_no_value() -> None:
    def whole(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where((weights > 0).all(axis=1), 1.0, np.nan)

    # A resample holds all of three items in 6 of 27 cases.
    assert estimate(whole, 3, 0, "").low is None
    # One text of sixty is true: 36 % of the resamples lack it, the others bound the value.
    assert estimate(auroc(range(60), [True] + [False] * 59), 60, 0, "").low is not None


@pytest.mark.parametrize(
    "statistic",
    [
        mean_of([]),
        pooled_pearson([], []),
        balanced_accuracy([], []),
        auroc([], []),
        average_precision([], []),
    ],
)
def test_nothing_has_no_value(statistic: Statistic) -> None:
    with pytest.raises(Unscorable, match="there is nothing"):
        estimate(statistic, 0, 0, "there is nothing")


# Pairs


def test_pairs_by_hand_and_by_wilcoxon() -> None:
    ours = np.array([0.9, 0.8, 0.4, 0.7, 0.55, 0.95, 0.3])
    theirs = np.array([0.5, 0.6, 0.5, 0.7, 0.52, 0.34, 0.25])
    found = paired(ours, theirs, seed=1)
    assert (found.n, found.wins, found.ties, found.losses) == (7, 5, 1, 1)
    assert found.difference.value == pytest.approx(np.mean(ours - theirs))
    assert found.difference.low is not None
    assert found.difference.high is not None
    assert found.difference.low < found.difference.value < found.difference.high
    assert found.p == pytest.approx(float(stats.wilcoxon(ours, theirs).pvalue))


def test_wilcoxon_by_hand() -> None:
    # Five differences, all positive and of different size: 2 of the 32 signings are as extreme.
    assert paired([1, 2, 3, 4, 5], [0, 0, 0, 0, 0], seed=0).p == pytest.approx(2 / 32)


def test_pairs_without_any_difference_have_no_p() -> None:
    found = paired([0.5, 0.25], [0.5, 0.25], seed=0)
    assert (found.p, found.ties, found.difference.value) == (None, 2, 0.0)


def test_one_pair_has_a_difference_without_interval() -> None:
    found = paired([0.5], [0.25], seed=0)
    assert (found.n, found.p, found.difference.value) == (1, 1.0, 0.25)
    assert found.difference.low is None


def test_no_pair_cannot_be_compared() -> None:
    with pytest.raises(Unscorable, match="no feature has both"):
        paired([], [], seed=0)
