"""Many features at once: what the hundredth costs, what checkpoints take, and a second start."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from langchain_core.runnables import RunnableConfig

from evaluation.bench.rows import BenchRow
from graphs.checkpointer import DuckDBSaver
from graphs.config import RunConfig
from graphs.run import corpus_spec, finish_run
from graphs.runs import Run, RunStore
from tools.activations import Subject
from tools.database import Database
from tools.harvest.collection import collect_exemplars
from tools.harvest.features import parse_features
from tools.harvest.store import ExemplarStore

SAMPLE = 10
"""Features of the short runs that a long one is held against."""
BARE = 3
"""Short runs that are made once more without checkpoints."""
CHECKPOINT_TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes", "checkpoint_items")


@dataclass(frozen=True)
class ManyFeatures:
    """Features whose exemplars are stored, to be explained again and again."""

    database: Database
    config: RunConfig
    features: Sequence[int]

    @classmethod
    def harvested(cls, database: Database, config: RunConfig, subject: Subject) -> ManyFeatures:
        """Draw the features that `config` asks for and store their exemplars."""
        request = parse_features(config.features, subject.info.n_features)
        spec, store = corpus_spec(config.corpus), ExemplarStore(database)
        found = collect_exemplars(subject, spec, request, config.seed, store)
        return cls(database, config, found.features)

    def measured(self) -> tuple[list[BenchRow], float]:
        """Growth with the number of features, the cost of checkpoints, and the second start.

        And the seconds that explaining all of them took, which is the latest run then.

        A long run is not held against ten times one of some ten, for features differ more than
        runs do. With checkpoints and without take turns, or a slow spell would tell on one alone.
        """
        kept: list[_Clock] = []
        bare: list[_Clock] = []
        for start in range(0, len(self.features), SAMPLE):
            some = self.features[start : start + SAMPLE]
            kept.append(self._explain(some))
            if len(bare) < BARE:
                with _no_checkpoints():
                    bare.append(self._explain(some))
        # Last, for `latest` is the whole run then.
        whole = self._explain(self.features)
        return [self._checkpoint_share(kept, bare), *self._whole_rows(kept, whole)], whole.wall

    def _checkpoint_share(self, kept: Sequence[_Clock], bare: Sequence[_Clock]) -> BenchRow:
        """What the short runs that were made both ways took longer with checkpoints."""
        with_them = sum(clock.wall for clock in kept[: len(bare)])
        share = 1 - sum(clock.wall for clock in bare) / with_them
        name = f"{len(bare) * SAMPLE} of {len(self.features)} features, symbolic: checkpointing"
        return BenchRow(name, share, 0.05, "of wall")

    def _whole_rows(self, kept: Sequence[_Clock], whole: _Clock) -> list[BenchRow]:
        n, stored = len(self.features), checkpoint_bytes(self.database)
        of_records = stored / self._record_bytes()
        growth = whole.wall / sum(clock.wall for clock in kept)
        name = f"{n} features, symbolic: checkpoints / the experiments' records"
        return [
            BenchRow(name, of_records, 3, "of bytes"),
            BenchRow(f"wall of {n} features / {len(kept)} runs of {SAMPLE}", growth, 1.0, "ratio"),
            BenchRow(
                "second run: model loaded to first hypothesis",
                kept[-1].hypothesis - kept[-1].loaded,
                2.0,
                "s",
            ),
        ]

    @property
    def latest(self) -> Run:
        """The latest run of them all."""
        return RunStore(self.database).latest()

    def first_round(self, n_features: int, n_texts: int) -> list[tuple[int, list[str]]]:
        """Of so many features, each with what it wanted measured first in the latest run."""
        rows = self.database.rows(
            "SELECT feature, list(text ORDER BY id)[:?] FROM experiments WHERE run = ? "
            "GROUP BY feature ORDER BY feature LIMIT ?",
            [n_texts, self.latest.name, n_features],
        )
        return [(feature, list(dict.fromkeys(texts))) for feature, texts in rows]

    def _explain(self, features: Sequence[int]) -> _Clock:
        """Explain features once more, every text measured anew."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM measured_texts")
        clock = _Clock()
        some = self.config.model_copy(update={"features": tuple(features)})
        finish_run(self.database, RunStore(self.database).open(some, new=True), clock)
        return clock

    def _record_bytes(self) -> int:
        """Of all experiments and observations as text, each once."""
        query = "SELECT sum(strlen(t::VARCHAR)) FROM {} AS t"
        tables = ("experiments", "observations")
        return sum(self.database.rows(query.format(name))[0][0] for name in tables)


class _Clock:
    """A Reporter that takes the times of a run's turning points."""

    def __init__(self) -> None:
        self.loaded = self.hypothesis = 0.0
        self.done: list[float] = []
        """Of the start and of the end of each feature."""
        self._lock = threading.Lock()

    @property
    def wall(self) -> float:
        """Seconds from the first feature's start to the last one's end."""
        return self.done[-1] - self.done[0]

    def stage(self, message: str) -> None:
        """Take the time of the last: model and SAE are loaded."""
        self.loaded = time.perf_counter()

    def harvest(self, done: int, total: int) -> None:
        """Nothing to take."""

    def features(self, done: int, total: int) -> None:
        """Take the time."""
        with self._lock:
            self.done.append(time.perf_counter())

    def step(self, feature: int, node: str) -> None:
        """Take the time when the first feature has its hypotheses."""
        with self._lock:
            if node == "design_experiments" and not self.hypothesis:
                self.hypothesis = time.perf_counter()


def checkpoint_bytes(database: Database) -> int:
    """Of all that checkpoints hold, as text and blobs."""
    lengths = {"BLOB": "octet_length({0})", "VARCHAR": "strlen({0})", "JSON": "strlen({0})"}
    columns = database.rows(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE table_name = ANY(?) AND data_type = ANY(?)",
        [list(CHECKPOINT_TABLES), list(lengths)],
    )
    queries = (
        f"SELECT coalesce(sum({lengths[kind].format(column)}), 0) FROM {table}"
        for table, column, kind in columns
    )
    return sum(database.rows(query)[0][0] for query in queries)


@contextmanager
def _no_checkpoints() -> Generator[None]:
    """Within, nothing is serialised and nothing stored: what a run without checkpoints would do."""

    def forget(saver: DuckDBSaver, config: RunnableConfig, *_: Any, **__: Any) -> RunnableConfig:
        return config

    with patch.object(DuckDBSaver, "put", forget), patch.object(DuckDBSaver, "put_writes", forget):
        yield
