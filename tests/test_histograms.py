"""Histograms of activations hold every activation, in bins that anybody would count."""

from __future__ import annotations

import numpy as np

from tools.harvest.histograms import BINS, histograms


def test_every_activation_is_counted_where_numpy_counts_it() -> None:
    random = np.random.default_rng(0)
    values = random.gamma(2.0, 3.0, size=1000).astype(np.float32)
    owners = np.sort(random.integers(3, size=1000))
    found = histograms(owners, values, 3)
    for feature in range(3):
        own = values[owners == feature]
        expected, _ = np.histogram(own, bins=BINS, range=(0.0, float(own.max())))
        assert found.highest[feature] == own.max()
        assert found.counts[feature].sum() == len(own)
        # An activation on the border of two bins may go to either.
        assert np.abs(found.counts[feature] - expected).sum() <= 2


def test_a_feature_that_never_fires_has_an_empty_histogram() -> None:
    found = histograms(np.array([1, 1]), np.array([0.5, 1.0], np.float32), 2)
    assert found.highest.tolist() == [0.0, 1.0]
    assert found.counts.sum(axis=1).tolist() == [0, 2]
