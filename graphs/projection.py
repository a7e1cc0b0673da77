"""The domain records as SQL tables, written in the transaction that stores the checkpoint.

Each `*_log` table is insert-only: a record that changes gets a further row, marked with the
checkpoint that brought the change. The views `features`, `hypotheses`, `experiments`,
`observations` and `explanations` show the newest row of each record, so that they always agree
with the newest checkpoint; with `checkpoint_id <= X` the logs give any earlier one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import duckdb

from graphs.projecting import Change
from graphs.records import Experiment, Explanation, FeatureScale, Hypothesis, Observation
from tools.database import UTC_STAMP, insert

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class DomainTable:
    """One kind of record: its columns, and how a record becomes a row."""

    name: str
    columns: tuple[tuple[str, str], ...]
    """Name and DuckDB type; the first column identifies the record within its feature."""
    row: Callable[[Any], Row]

    @property
    def ddl(self) -> tuple[str, str]:
        """The log table, and the view of each record's newest row."""
        columns = ", ".join(f"{name} {kind}" for name, kind in self.columns)
        names = ", ".join(name for name, _ in self.columns)
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name}_log (thread_id VARCHAR, run VARCHAR, "
            f"feature INTEGER, checkpoint_id VARCHAR, recorded_at {UTC_STAMP}, "
            f"{columns})",
            f"CREATE VIEW IF NOT EXISTS {self.name} AS SELECT run, feature, {names}, checkpoint_id "
            f"FROM {self.name}_log QUALIFY row_number() OVER (PARTITION BY thread_id, "
            f"{self.columns[0][0]} ORDER BY checkpoint_id DESC, recorded_at DESC) = 1",
        )


def _hypothesis_row(h: Hypothesis) -> Row:
    evidence = (list(h.supporting), list(h.contradicting), list(h.inconclusive))
    words = (h.statement, h.polarity, _json(h.rule), h.status, h.parent, h.round)
    return (h.id, *words, *evidence, h.note, h.reason, h.interpretation)


def _experiment_row(e: Experiment) -> Row:
    return (e.id, e.design, e.hypothesis, e.kind, e.text, e.predicted, e.purpose, e.round)


def _observation_row(o: Observation) -> Row:
    measured = (list(o.tokens), list(o.activations), o.max_activation, o.normalized)
    return (o.id, o.experiment, o.hypothesis, *measured, o.outcome, o.supports)


def _explanation_row(e: Explanation) -> Row:
    claims = _json([claim.model_dump() for claim in e.claims])
    words = (e.description, list(e.labels), list(e.not_on))
    return ("explanation", *words, e.confidence, e.confidence_basis, claims, _json(e.rule))


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


HYPOTHESES = DomainTable(
    name="hypotheses",
    columns=(
        ("id", "VARCHAR"),
        ("statement", "VARCHAR"),
        ("polarity", "VARCHAR"),
        ("rule", "JSON"),
        ("status", "VARCHAR"),
        ("parent", "VARCHAR"),
        ("round", "INTEGER"),
        ("supporting", "VARCHAR[]"),
        ("contradicting", "VARCHAR[]"),
        ("inconclusive", "VARCHAR[]"),
        ("note", "VARCHAR"),
        ("reason", "VARCHAR"),
        ("interpretation", "VARCHAR"),
    ),
    row=_hypothesis_row,
)
EXPERIMENTS = DomainTable(
    name="experiments",
    columns=(
        ("id", "VARCHAR"),
        ("design", "VARCHAR"),
        ("hypothesis", "VARCHAR"),
        ("kind", "VARCHAR"),
        ("text", "VARCHAR"),
        ("predicted", "VARCHAR"),
        ("purpose", "VARCHAR"),
        ("round", "INTEGER"),
    ),
    row=_experiment_row,
)
OBSERVATIONS = DomainTable(
    name="observations",
    columns=(
        ("id", "VARCHAR"),
        ("experiment", "VARCHAR"),
        ("hypothesis", "VARCHAR"),
        ("tokens", "VARCHAR[]"),
        ("activations", "DOUBLE[]"),
        ("max_activation", "DOUBLE"),
        ("normalized", "DOUBLE"),
        ("outcome", "VARCHAR"),
        ("supports", "BOOLEAN"),
    ),
    row=_observation_row,
)
EXPLANATIONS = DomainTable(
    name="explanations",
    columns=(
        ("id", "VARCHAR"),
        ("description", "VARCHAR"),
        ("labels", "VARCHAR[]"),
        ("not_on", "VARCHAR[]"),
        ("confidence", "DOUBLE"),
        ("confidence_basis", "VARCHAR"),
        ("claims", "JSON"),
        ("rule", "JSON"),
    ),
    row=_explanation_row,
)
TABLES = (HYPOTHESES, EXPERIMENTS, OBSERVATIONS, EXPLANATIONS)

ADDRESS_COLUMNS = ("thread_id", "run", "feature", "checkpoint_id")
PROGRESS_COLUMNS = (
    *ADDRESS_COLUMNS,
    "status",
    "scale",
    "n_tokens",
    "n_active_tokens",
    "n_active_windows",
    "round",
    "reviews",
    "forward_passes",
    "seconds",
    "stopped",
)

PROJECTION_DDL: tuple[str, ...] = (
    "CREATE TABLE IF NOT EXISTS feature_log (thread_id VARCHAR, run VARCHAR, feature INTEGER, "
    f"checkpoint_id VARCHAR, recorded_at {UTC_STAMP}, status VARCHAR, scale DOUBLE, "
    "n_tokens BIGINT, n_active_tokens BIGINT, n_active_windows BIGINT, round INTEGER, "
    "reviews INTEGER, forward_passes INTEGER, seconds DOUBLE, stopped VARCHAR)",
    *(statement for table in TABLES for statement in table.ddl),
)


class DomainProjection:
    """Writes what a checkpoint changed as rows; the checkpointer calls it in its transaction."""

    def project(self, connection: duckdb.DuckDBPyConnection, changes: Sequence[Change]) -> None:
        """Add rows for the records that are new or differ from what they were."""
        # Before a thread's first step its values are still the graph's input.
        begun = [change for change in changes if "status" in change.after]
        progress = [(*_address(change), *_progress_row(change.after)) for change in begun]
        insert(connection, "feature_log", progress, PROGRESS_COLUMNS)
        for table in TABLES:
            rows = [
                (*_address(change), *_storable(table.row(record)))
                for change in begun
                for record in _fresh(table, change)
            ]
            columns = (*ADDRESS_COLUMNS, *(name for name, _ in table.columns))
            insert(connection, f"{table.name}_log", rows, columns)

    def forget(self, connection: duckdb.DuckDBPyConnection, thread_id: str) -> None:
        """Remove the rows of a thread that is deleted."""
        for name in ("feature", *(table.name for table in TABLES)):
            connection.execute(f"DELETE FROM {name}_log WHERE thread_id = ?", [thread_id])

    def copy(self, connection: duckdb.DuckDBPyConnection, source: str, target: str) -> None:
        """Give a copied thread the rows of its original."""
        run, feature = split_thread(target)
        for name in ("feature", *(table.name for table in TABLES)):
            connection.execute(
                f"INSERT INTO {name}_log SELECT * REPLACE (? AS thread_id, ? AS run, "
                f"?::INTEGER AS feature) FROM {name}_log WHERE thread_id = ?",
                [target, run, feature, source],
            )


def thread_of(run: str, feature: int) -> str:
    """The LangGraph thread that explains one feature of a run."""
    return f"{run}/{feature}"


def split_thread(thread_id: str) -> tuple[str, int]:
    """Run and feature of a thread."""
    run, _, feature = thread_id.rpartition("/")
    return run, int(feature)


def _progress_row(values: Mapping[str, Any]) -> Row:
    scale: FeatureScale | None = values.get("scale")
    measured: Row = (None, None, None, None)
    if scale is not None:
        measured = (scale.scale, scale.n_tokens, scale.n_active_tokens, scale.n_active_windows)
    counted = ("round", "reviews", "forward_passes", "seconds")
    counts = (values.get(name, 0) for name in counted)
    return (values["status"], *measured, *counts, values.get("stopped", ""))


def _address(change: Change) -> Row:
    return (change.thread_id, *split_thread(change.thread_id), change.checkpoint_id)


def _fresh(table: DomainTable, change: Change) -> Iterable[object]:
    """The records that the change brings or alters."""
    before, after = _records(table, change.before), _records(table, change.after)
    return [record for id, record in after.items() if before.get(id) != record]


def _records(table: DomainTable, values: Mapping[str, Any]) -> dict[str, object]:
    if table is EXPLANATIONS:
        explanation = values.get("explanation")
        return {} if explanation is None else {"explanation": explanation}
    return {record.id: record for record in values.get(table.name, [])}


def _storable(row: Row) -> Row:
    """The row with lone surrogates spelt out, which DuckDB would refuse."""
    return tuple(_escaped(value) for value in row)


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return (
        [_escaped(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value
    )
