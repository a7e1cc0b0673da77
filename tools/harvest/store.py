"""Harvests in the DuckDB file: written once, in one transaction, and read instead of redone."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b

import duckdb

from tools.activations import SubjectInfo
from tools.corpus import STDLIB_SOURCE, CorpusSpec
from tools.corpus_files import corpus_files
from tools.database import Database, insert
from tools.errors import CorpusError
from tools.harvest import bands, common_text, sampling, token_sums
from tools.harvest.harvest import Harvest
from tools.harvest.sampling import CorpusSample
from tools.harvest.stored import StoredExemplars
from tools.harvest.tables import FeatureWriter, insert_firings

_SETTINGS = {
    "version": 2,  # raise when the choice of windows or exemplars changes otherwise
    "splits": sampling.SPLIT_CYCLE,
    "documents": sampling.DOCUMENTS_PER_BUDGET,
    "tail": sampling.SHORTEST_TAIL,
    "top": bands.TOP_WINDOWS,
    "quantile": bands.QUANTILE_WINDOWS,
    "random": bands.RANDOM_WINDOWS,
    "near_miss": bands.NEAR_MISS_WINDOWS,
    "table": token_sums.TOKEN_TABLE_ROWS,
    "census": (common_text.CENSUS_TOKENS, common_text.CENSUS_FIRINGS),
    "triggers": (token_sums.TRIGGER_SHARE, token_sums.TRIGGER_TOKENS),
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


def joint_key(identities: Sequence[HarvestIdentity]) -> str:
    """What several harvests are called that are made together; one is called what it is."""
    if len(identities) == 1:
        return identities[0].key
    keys = json.dumps([each.key for each in identities]).encode()
    return blake2b(keys, digest_size=16).hexdigest()


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

    @property
    def path(self) -> str:
        """The database file, or `:memory:`."""
        return self._database.path

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

        Raises:
            CorpusError: what is stored of this harvest is of other text.
        """
        key = identity.key
        with self._database.transaction() as connection:
            missing = self.missing(key, features)
            known = self.firings(key)
            counts = {item: harvested.n_active_tokens(item) for item in harvested.features}
            _insert_harvest(connection, identity, harvested.sample)
            insert_firings(connection, key, {i: n for i, n in counts.items() if i not in known})
            writer = FeatureWriter(connection, key, harvested)
            writer.add_common_text()
            for kept in harvested.kept(missing):
                writer.add(kept)

    def source(self, key: str) -> StoredExemplars:
        """What harvest `key` measured, to be read by policies and nodes."""
        return StoredExemplars(self._database, key)


def _insert_harvest(
    connection: duckdb.DuckDBPyConnection, identity: HarvestIdentity, sample: CorpusSample
) -> None:
    stored = connection.execute("SELECT sample FROM harvests WHERE harvest = ?", [identity.key])
    fingerprints = stored.fetchall()
    if fingerprints and fingerprints != [(sample.fingerprint,)]:
        raise CorpusError(
            "The corpus gives other text than when it was measured first, under the same name, so "
            "that features would not be comparable. Bring the old text back, or use another "
            "database file."
        )
    if not fingerprints:
        measured = (sample.seed, sample.window_size, len(sample.windows), sample.n_tokens)
        named = (identity.key, identity.subject, identity.corpus)
        insert(connection, "harvests", [(*named, *measured, sample.fingerprint)])
