"""Exemplars of the features in hand, read once instead of at each step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tools.census import Census
from tools.exemplars import Exemplar, ExemplarSource, FeatureStatistics, Split, TokenStatistic

_SPLITS = 2
"""Splits that are read while a feature is explained: propose and test."""


class RecentExemplars:
    """An ExemplarSource that keeps what it read of the features asked for last.

    Safe to share between threads, for nobody can change what it gives.
    """

    def __init__(self, source: ExemplarSource, *, features: int) -> None:
        """Read from `source`, and keep that many features: as many as are worked on at a time."""
        self._source = source
        self._statistics = lru_cache(features)(source.statistics)
        self._exemplars = lru_cache(features * _SPLITS)(self._read_exemplars)
        self._token_table = lru_cache(features)(self._read_token_table)
        self._census = lru_cache(features)(source.census)

    def statistics(self, feature: int) -> FeatureStatistics:
        """Counts and scale of `feature`."""
        return self._statistics(feature)

    def exemplars(self, feature: int, split: Split) -> Sequence[Exemplar]:
        """The windows kept of one split, ordered by band and rank."""
        return self._exemplars(feature, split)

    def token_table(self, feature: int) -> Sequence[TokenStatistic]:
        """Tokens that carry the feature's activation on the propose split, most first."""
        return self._token_table(feature)

    def census(self, feature: int) -> Census:
        """Where the feature fires in text that is common to all features."""
        return self._census(feature)

    def _read_exemplars(self, feature: int, split: Split) -> Sequence[Exemplar]:
        found = tuple(self._source.exemplars(feature, split))
        for exemplar in found:
            exemplar.activations.flags.writeable = False
        return found

    def _read_token_table(self, feature: int) -> Sequence[TokenStatistic]:
        return tuple(self._source.token_table(feature))
