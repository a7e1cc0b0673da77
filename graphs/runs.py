"""What a database holds: its runs, the features each is to explain, and how far they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from duckdb import DuckDBPyConnection

from graphs.config import RunConfig, parse_config
from graphs.projection import PROJECTION_DDL
from graphs.records import ForkedFrom
from tools.database import UTC_STAMP, Database
from tools.errors import RunNotFound, SaesageError

RUN_DDL: tuple[str, ...] = (
    *PROJECTION_DDL,
    "CREATE TABLE IF NOT EXISTS runs (run VARCHAR, config JSON, config_hash VARCHAR, "
    f"version VARCHAR, created_at {UTC_STAMP})",
    "CREATE TABLE IF NOT EXISTS run_features (run VARCHAR, feature INTEGER, rank INTEGER, "
    "harvest VARCHAR)",
    "CREATE TABLE IF NOT EXISTS failures (run VARCHAR, feature INTEGER, error VARCHAR, "
    f"message VARCHAR, failed_at {UTC_STAMP})",
    "CREATE TABLE IF NOT EXISTS forks (run VARCHAR, root VARCHAR, feature INTEGER, "
    f"forked_from JSON, created_at {UTC_STAMP})",
    "CREATE TABLE IF NOT EXISTS answers (thread_id VARCHAR, checkpoint_id VARCHAR, answer JSON, "
    f"answered_at {UTC_STAMP})",
    # A failure counts until a later step of the same feature is stored. What waited for the user
    # runs on from the answer.
    "CREATE VIEW IF NOT EXISTS features AS "
    "WITH newest AS (SELECT * REPLACE (CASE WHEN status = 'waiting' AND EXISTS (FROM answers a "
    "WHERE a.thread_id = feature_log.thread_id AND a.checkpoint_id = feature_log.checkpoint_id) "
    "THEN 'running' ELSE status END AS status) "
    "FROM feature_log QUALIFY row_number() OVER (PARTITION BY thread_id "
    "ORDER BY checkpoint_id DESC, recorded_at DESC) = 1), "
    "failed AS (SELECT * FROM failures QUALIFY row_number() OVER (PARTITION BY run, feature "
    "ORDER BY failed_at DESC) = 1) "
    "SELECT p.run, p.feature, p.rank, p.harvest, CASE WHEN n.status <> 'running' THEN n.status "
    "WHEN f.failed_at >= coalesce(n.recorded_at, f.failed_at) THEN 'failed' "
    "WHEN n.status IS NULL THEN 'pending' ELSE 'running' END AS status, "
    "CASE WHEN n.status IS NULL OR (n.status = 'running' AND f.failed_at >= n.recorded_at) "
    "THEN f.message END AS failure, n.scale, n.n_tokens, n.n_active_tokens, n.n_active_windows, "
    "n.round, n.reviews, n.forward_passes, n.seconds, n.stopped, n.checkpoint_id "
    "FROM run_features p LEFT JOIN newest n ON n.run = p.run AND n.feature = p.feature "
    "LEFT JOIN failed f ON f.run = p.run AND f.feature = p.feature",
)

FORK_MARK = "~"
"""Between the name of a run and that of its fork."""

UNFINISHED = ("pending", "running", "failed")
"""Statuses of features that `resume` goes on with."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: a configuration, under a name that its hash gives."""

    name: str
    config: RunConfig
    config_hash: str
    """As it was when the run began."""
    forked_from: ForkedFrom | None = None
    """Of a fork, which is a run of one feature: where it began."""

    @property
    def root(self) -> str:
        """The run that a fork goes back to; of any other run its own name."""
        return self.name.partition(FORK_MARK)[0]

    @property
    def short_name(self) -> str:
        """A fork's name among those of its root; of any other run the whole name."""
        return self.name.rpartition(FORK_MARK)[2]


class RunStore:
    """The run tables of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Run]:
        """Every run and every fork, oldest first."""
        rows = self._database.rows(
            "SELECT run, config, config_hash, forked_from FROM runs LEFT JOIN forks USING (run) "
            "ORDER BY runs.created_at, length(run), run"
        )
        return [
            Run(
                name,
                parse_config(json.loads(config)),
                digest,
                None if origin is None else ForkedFrom.model_validate_json(origin),
            )
            for name, config, digest, origin in rows
        ]

    def originals(self) -> list[Run]:
        """The runs that are no forks, oldest first."""
        return [run for run in self.all() if run.forked_from is None]

    def forks(self, run: Run, feature: int) -> list[Run]:
        """The forks of a feature that go back to the same run as `run` does, oldest first."""
        query = "SELECT run FROM forks WHERE root = ? AND feature = ?"
        names = {name for (name,) in self._database.rows(query, [run.root, feature])}
        return [fork for fork in self.all() if fork.name in names]

    def open(self, config: RunConfig, *, new: bool = False) -> Run:
        """The newest run of this configuration; another one if asked for or if there is none.

        It has `config` as given: how a language model is reached may have changed since.
        """
        digest = config.config_hash
        known = [run for run in self.originals() if run.config_hash == digest]
        if known and not new:
            return replace(known[-1], config=config)
        number = max((int(run.name.rpartition("-")[2]) for run in known), default=0) + 1
        run = Run(f"{digest[:12]}-{number}", config, digest)
        with self._database.transaction() as connection:
            self.add(connection, run)
        return run

    def add(self, connection: DuckDBPyConnection, run: Run) -> None:
        """Write a new run down, in the caller's transaction."""
        connection.execute(
            "INSERT INTO runs (run, config, config_hash, version) VALUES (?, ?, ?, ?)",
            [run.name, run.config.model_dump_json(), run.config_hash, version("saesage")],
        )

    def discard_unplanned(self, run: Run) -> None:
        """Forget a run whose input turned out bad before any feature was planned."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM runs WHERE run = ? AND run NOT IN (SELECT run FROM run_features)",
                [run.name],
            )

    def plan(self, run: Run, features: Sequence[int], harvest: str) -> None:
        """Write down which features the run explains, in order."""
        with self._database.transaction() as connection:
            for rank, feature in enumerate(features):
                connection.execute(
                    "INSERT INTO run_features VALUES (?, ?, ?, ?)",
                    [run.name, feature, rank, harvest],
                )

    def harvest(self, run: Run) -> str | None:
        """Key of the harvest that the run's exemplars are from; None before it was made."""
        rows = self._database.rows("SELECT harvest FROM run_features WHERE run = ?", [run.name])
        return rows[0][0] if rows else None

    def planned(self, run: Run) -> list[int]:
        """The run's features, in order; empty while the corpus has not been harvested."""
        query = "SELECT feature FROM run_features WHERE run = ? ORDER BY rank"
        return [feature for (feature,) in self._database.rows(query, [run.name])]

    def is_finished(self, run: Run) -> bool:
        """Whether every feature was chosen, and is explained or waits for the user."""
        return self.harvest(run) is not None and not self.unfinished(run)

    def unfinished(self, run: Run) -> list[int]:
        """The run's features that could go on now, in order."""
        return self._of_status(run, UNFINISHED)

    def waiting(self, run: Run) -> list[int]:
        """The run's features that wait for the user, in order."""
        return self._of_status(run, ("waiting",))

    def _of_status(self, run: Run, statuses: Sequence[str]) -> list[int]:
        query = "SELECT feature, status FROM features WHERE run = ? ORDER BY rank"
        rows = self._database.rows(query, [run.name])
        return [feature for feature, status in rows if status in statuses]

    def record_failure(self, run: Run, feature: int, error: SaesageError) -> None:
        """Keep why a feature could not be explained."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO failures (run, feature, error, message) VALUES (?, ?, ?, ?)",
                [run.name, feature, type(error).__name__, str(error)],
            )

    def all_explained(self, run: Run) -> bool:
        """Whether each feature was explained, or measured to be dead or too rare.

        A feature that a budget stopped counts as explained when something was confirmed by then.
        """
        query = (
            "SELECT count(*) FROM features f WHERE run = ? AND status NOT IN ('explained', 'dead', "
            "'too_rare') AND NOT (status = 'budget' AND EXISTS (FROM hypotheses h WHERE "
            "h.run = f.run AND h.feature = f.feature AND h.status = 'confirmed' "
            "AND h.polarity = 'active'))"
        )
        return self._database.rows(query, [run.name]) == [(0,)]

    def latest(self) -> Run:
        """The newest run that is no fork.

        Raises:
            RunNotFound: the database holds none.
        """
        runs = self.originals()
        if not runs:
            raise RunNotFound("the database holds no run yet; start one with `saesage explain`.")
        return runs[-1]

    def named(self, name: str) -> Run:
        """The run of that name; of a fork, the part behind the mark will do.

        Raises:
            RunNotFound: there is none, or several forks are called so.
        """
        runs = self.all()
        for found in (
            [r for r in runs if r.name == name],
            [r for r in runs if name == r.short_name],
        ):
            if len(found) == 1:
                return found[0]
        known = ", ".join(run.name for run in runs) or "none"
        raise RunNotFound(f"the database holds no run {name!r}; known: {known}.")
