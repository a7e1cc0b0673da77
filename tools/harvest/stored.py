"""Stored harvests, read back: what policies and nodes learn of a feature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.census import Census, CensusText
from tools.database import Database
from tools.errors import RunNotFound
from tools.exemplars import Band, Exemplar, FeatureStatistics, Split, TokenStatistic

WINDOWS_REMEMBERED = 2048
"""Windows kept in memory at most: features share them, and each takes a few kilobytes."""


class _Window(NamedTuple):
    document: str
    position: int
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]


class StoredExemplars:
    """The stored results of one harvest. An ExemplarSource.

    Safe to share between threads.
    """

    def __init__(self, database: Database, key: str) -> None:
        self._database = database
        self._key = key
        self._surfaces: dict[int, str] = {}
        self._recent: dict[int, _Window] = {}

    def statistics(self, feature: int) -> FeatureStatistics:
        """Counts and scale of `feature`.

        Raises:
            RunNotFound: the harvest does not hold the feature.
        """
        records = self._database.records(
            "SELECT * EXCLUDE (harvest) FROM feature_statistics WHERE harvest = ? AND feature = ?",
            [self._key, feature],
        )
        if not records:
            raise RunNotFound(
                f"{self._database.path} holds no exemplars of feature {feature}; "
                "name it in `features` and run `saesage explain` again."
            )
        return FeatureStatistics(**records[0])

    def exemplars(self, feature: int, split: Split) -> Sequence[Exemplar]:
        """The windows kept of one split, ordered by band and rank."""
        records = self._database.array_records(
            "SELECT bands, windows, ends, places, activations FROM feature_exemplars "
            "WHERE harvest = ? AND feature = ? AND split = ?",
            [self._key, feature, split],
        )
        return [item for record in records for item in self._revived(feature, split, record)]

    def token_table(self, feature: int) -> Sequence[TokenStatistic]:
        """Tokens that carry the feature's activation on the propose split, most first."""
        records = self._database.array_records(
            "SELECT token_ids, n_present, n_active, mean_activations, total FROM feature_tokens "
            "WHERE harvest = ? AND feature = ?",
            [self._key, feature],
        )
        return [row for record in records for row in self._token_rows(record)]

    def census(self, feature: int) -> Census:
        """Where the feature fires in text that is common to all features."""
        [record] = self._database.array_records(
            "SELECT n_windows, gaps, levels FROM feature_census WHERE harvest = ? AND feature = ?",
            [self._key, feature],
        )
        places = np.cumsum(record["gaps"], dtype=np.int32)
        return Census(self._census_text, record["n_windows"], places, record["levels"])

    @cached_property
    def _census_text(self) -> CensusText:
        """Read once: it serves all features."""
        [record] = self._database.array_records(
            "SELECT windows, n_proposed FROM harvest_census WHERE harvest = ?", [self._key]
        )
        windows = self._windows(record["windows"].tolist())
        return CensusText(
            tokens=[window.tokens for window in windows],
            documents=[window.document for window in windows],
            positions=[window.position for window in windows],
            n_proposed=record["n_proposed"],
        )

    def _revived(self, feature: int, split: Split, record: dict[str, Any]) -> list[Exemplar]:
        windows = self._windows(record["windows"].tolist())
        bands: list[Band] = record["bands"].tolist()
        parts = record["ends"][:-1]
        places = np.split(record["places"], parts)
        fired = np.split(record["activations"], parts)
        ranks: Counter[Band] = Counter()
        found: list[Exemplar] = []
        for band, window, where, values in zip(bands, windows, places, fired, strict=True):
            ranks[band] += 1
            found.append(_exemplar(feature, split, band, ranks[band], window, where, values))
        return found

    def _windows(self, numbers: list[int]) -> list[_Window]:
        """The windows of these numbers, in their order."""
        recent = self._recent
        windows = {number: window for number in numbers if (window := recent.get(number))}
        missing = [number for number in numbers if number not in windows]
        if missing:
            read = self._read_windows(missing)
            if len(recent) + len(read) > WINDOWS_REMEMBERED:
                recent.clear()
            recent.update(read)
            windows |= read
        return [windows[number] for number in numbers]

    def _read_windows(self, numbers: list[int]) -> dict[int, _Window]:
        records = self._database.array_records(
            "SELECT number, document, position, token_ids FROM harvest_windows "
            "WHERE harvest = ? AND number IN (SELECT unnest(?))",
            [self._key, numbers],
        )
        windows: dict[int, _Window] = {}
        for record in records:
            ids = record["token_ids"].tolist()
            window = _Window(record["document"], record["position"], tuple(ids), self._tokens(ids))
            windows[record["number"]] = window
        return windows

    def _token_rows(self, record: dict[str, Any]) -> list[TokenStatistic]:
        ids: list[int] = record["token_ids"].tolist()
        present, means = record["n_present"], record["mean_activations"].astype(np.float64)
        shares = means * present / record["total"]
        numbers = (present, record["n_active"], means, shares)
        columns = (column.tolist() for column in numbers)
        return list(map(TokenStatistic, ids, self._tokens(ids), *columns))

    def _tokens(self, token_ids: Iterable[int]) -> tuple[str, ...]:
        """The surfaces of these tokens; all of the harvest's are read when one is not known."""
        surface = self._surfaces.__getitem__
        try:
            return tuple(map(surface, token_ids))
        except KeyError:
            rows: Iterable[tuple[int, str]] = self._database.rows(
                "SELECT token_id, token FROM harvest_tokens WHERE harvest = ?", [self._key]
            )
            self._surfaces.update(rows)
            return tuple(map(surface, token_ids))


def _exemplar(
    feature: int,
    split: Split,
    band: Band,
    rank: int,
    window: _Window,
    places: NDArray[np.int32],
    values: NDArray[np.float32],
) -> Exemplar:
    activations = np.zeros(len(window.token_ids), np.float32)
    activations[places] = values
    peak = int(activations.argmax())
    return Exemplar(
        id=f"{split}/{band}/{rank}",
        feature=feature,
        split=split,
        band=band,
        rank=rank,
        **window._asdict(),
        activations=activations,
        max_activation=float(activations[peak]),
        peak=peak,
    )
