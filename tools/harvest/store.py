"""Harvests in the DuckDB file: written once, in one transaction, and read instead of redone."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

import duckdb

from tools.activations import SubjectInfo
from tools.corpus import STDLIB_SOURCE, CorpusSpec
from tools.corpus_files import corpus_files
from tools.database import Database
from tools.errors import RunNotFound
from tools.exemplars import BANDS, Exemplar, FeatureStatistics, Split, TokenStatistic
from tools.harvest import bands, harvest, sampling
from tools.harvest.harvest import Harvest
from tools.harvest.sampling import CorpusSample
from tools.harvest.tables import insert_features, insert_firings

EXEMPLAR_DDL: tuple[str, ...] = (
    """CREATE TABLE IF NOT EXISTS harvests (
        harvest VARCHAR NOT NULL, subject VARCHAR NOT NULL, corpus VARCHAR NOT NULL,
        seed BIGINT NOT NULL, window_size INTEGER NOT NULL, n_windows INTEGER NOT NULL,
        n_tokens BIGINT NOT NULL, sample VARCHAR NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS feature_firings (
        harvest VARCHAR NOT NULL, feature INTEGER NOT NULL, n_active_tokens BIGINT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS exemplars (
        harvest VARCHAR NOT NULL, feature INTEGER NOT NULL, id VARCHAR NOT NULL,
        split VARCHAR NOT NULL, band VARCHAR NOT NULL, rank INTEGER NOT NULL,
        document VARCHAR NOT NULL, position BIGINT NOT NULL, token_ids INTEGER[] NOT NULL,
        tokens VARCHAR[] NOT NULL, activations FLOAT[] NOT NULL,
        max_activation FLOAT NOT NULL, peak INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS feature_statistics (
        harvest VARCHAR NOT NULL, feature INTEGER NOT NULL, n_tokens BIGINT NOT NULL,
        n_active_tokens BIGINT NOT NULL, n_active_windows BIGINT NOT NULL,
        max_activation DOUBLE NOT NULL, scale DOUBLE NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS token_statistics (
        harvest VARCHAR NOT NULL, feature INTEGER NOT NULL, rank INTEGER NOT NULL,
        token_id INTEGER NOT NULL, token VARCHAR NOT NULL, n_present BIGINT NOT NULL,
        n_active BIGINT NOT NULL, mean_activation DOUBLE NOT NULL, share DOUBLE NOT NULL)""",
)
"""Insert-only tables. `feature_firings` also knows features that were only looked at for a random
draw; a feature with a row in `feature_statistics` has its exemplars stored."""

_FEATURES_AT_ONCE = 32
_SETTINGS = {
    "version": 1,  # raise when the choice of windows or exemplars changes otherwise
    "splits": sampling.SPLIT_CYCLE,
    "documents": sampling.DOCUMENTS_PER_BUDGET,
    "tail": sampling.SHORTEST_TAIL,
    "top": bands.TOP_WINDOWS,
    "quantile": bands.QUANTILE_WINDOWS,
    "random": bands.RANDOM_WINDOWS,
    "near_miss": bands.NEAR_MISS_WINDOWS,
    "table": harvest.TOKEN_TABLE_ROWS,
    "triggers": (harvest.TRIGGER_SHARE, harvest.TRIGGER_TOKENS),
}


@dataclass(frozen=True, slots=True)
class HarvestIdentity:
    """What a harvest is of: equal identities mean equal exemplars."""

    key: str
    """Hash over all that decides the outcome."""
    subject: str
    """Fingerprint of model and SAE."""
    corpus: str
    """The corpus settings as JSON."""


def identify_harvest(
    info: SubjectInfo, spec: CorpusSpec, window_size: int, seed: int
) -> HarvestIdentity:
    """Name a harvest by all that decides its outcome, without reading the corpus.

    Local files count by name, size and time of change, the standard library by Python's version,
    a hub data set by its name alone.

    Raises:
        CorpusNotFound: there is no file at the corpus path.
    """
    corpus = json.dumps(asdict(spec), sort_keys=True)
    facts = (info.fingerprint, corpus, _corpus_state(spec), window_size, seed, _SETTINGS)
    digest = blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16)
    return HarvestIdentity(key=digest.hexdigest(), subject=info.fingerprint, corpus=corpus)


def _corpus_state(spec: CorpusSpec) -> object:
    if not isinstance(spec.source, str):
        return None
    if spec.source == STDLIB_SOURCE:
        return sys.version
    found = ((name, path.stat()) for name, path in corpus_files(spec.source))
    return [(name, status.st_size, status.st_mtime_ns) for name, status in found]


class ExemplarStore:
    """Keeps harvests in a database that was initialised with EXEMPLAR_DDL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def missing(self, key: str, features: Sequence[int]) -> tuple[int, ...]:
        """Those of `features` whose exemplars harvest `key` does not hold, in their order."""
        rows = self._database.rows(
            "SELECT feature FROM feature_statistics WHERE harvest = ?", [key]
        )
        stored = {feature for (feature,) in rows}
        return tuple(feature for feature in dict.fromkeys(features) if feature not in stored)

    def subject(self, key: str) -> str:
        """Fingerprint of the subject that harvest `key` was measured on."""
        rows = self._database.rows("SELECT subject FROM harvests WHERE harvest = ?", [key])
        return rows[0][0]

    def sample(self, key: str) -> str:
        """Fingerprint of the windows that harvest `key` measured."""
        rows = self._database.rows("SELECT sample FROM harvests WHERE harvest = ?", [key])
        return rows[0][0]

    def firings(self, key: str) -> dict[int, int]:
        """Number of active tokens of every feature that harvest `key` ever looked at."""
        rows = self._database.rows(
            "SELECT feature, n_active_tokens FROM feature_firings WHERE harvest = ?", [key]
        )
        return dict(rows)

    def save(self, identity: HarvestIdentity, harvested: Harvest, features: Sequence[int]) -> None:
        """Store the exemplars of `features`, and how often each harvested feature fires.

        One transaction: a kill leaves all or nothing. What is stored already is left as it is.

        Args:
            identity: from `identify_harvest`.
            harvested: what the pass measured.
            features: those of its features to keep.
        """
        key = identity.key
        with self._database.transaction() as connection:
            missing = self.missing(key, features)
            known = self.firings(key)
            counts = {item: harvested.n_active_tokens(item) for item in harvested.features}
            _insert_harvest(connection, identity, harvested.sample)
            insert_firings(connection, key, {i: n for i, n in counts.items() if i not in known})
            # In chunks, because every exemplar of a thousand features would fill the memory.
            for start in range(0, len(missing), _FEATURES_AT_ONCE):
                chunk = missing[start : start + _FEATURES_AT_ONCE]
                insert_features(connection, key, [harvested.measured(item) for item in chunk])

    def source(self, key: str) -> StoredExemplars:
        """What harvest `key` measured, to be read by policies and nodes."""
        return StoredExemplars(self._database, key)


class StoredExemplars:
    """The stored results of one harvest. An ExemplarSource."""

    def __init__(self, database: Database, key: str) -> None:
        self._database = database
        self._key = key

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
            "SELECT * EXCLUDE (harvest) FROM exemplars "
            "WHERE harvest = ? AND feature = ? AND split = ?",
            [self._key, feature, split],
        )
        found = [_exemplar(record) for record in records]
        return sorted(found, key=lambda item: (BANDS.index(item.band), item.rank))

    def token_table(self, feature: int) -> Sequence[TokenStatistic]:
        """Tokens that carry the feature's activation on the propose split, most first."""
        records = self._database.array_records(
            "SELECT * EXCLUDE (harvest, feature, rank) FROM token_statistics "
            "WHERE harvest = ? AND feature = ? ORDER BY rank",
            [self._key, feature],
        )
        return [TokenStatistic(**record) for record in records]


def _exemplar(record: dict[str, Any]) -> Exemplar:
    lists: dict[str, Any] = {
        "token_ids": tuple(record["token_ids"].tolist()),
        "tokens": tuple(record["tokens"].tolist()),
    }
    return Exemplar(**(record | lists))


def _insert_harvest(
    connection: duckdb.DuckDBPyConnection, identity: HarvestIdentity, sample: CorpusSample
) -> None:
    connection.execute(
        "INSERT INTO harvests SELECT $key, $subject, $corpus, $seed, $window_size, $n_windows, "
        "$n_tokens, $sample WHERE $key NOT IN (SELECT harvest FROM harvests)",
        {
            **asdict(identity),
            "seed": sample.seed,
            "window_size": sample.window_size,
            "n_windows": len(sample.windows),
            "n_tokens": sample.n_tokens,
            "sample": sample.fingerprint,
        },
    )
