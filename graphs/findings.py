"""What is known of a feature, read back from the database: for export, show and people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from graphs.runs import Run
from tools.database import Database
from tools.errors import RunNotFound

Row = dict[str, Any]


class Snapshot(NamedTuple):
    """What is known of one feature at one moment."""

    feature: Row
    hypotheses: list[Row]
    experiments: list[Row]


class Findings:
    """Reads the domain tables of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def features(self, run: Run) -> list[Row]:
        """Each planned feature with its status, counts and explanation, in order."""
        return self._database.records(
            "SELECT f.*, e.* EXCLUDE (run, feature, id, checkpoint_id), "
            "(SELECT count(*) FROM experiments x WHERE x.run = f.run AND x.feature = f.feature) "
            "AS n_experiments, coalesce(c.calls, 0) AS llm_calls, c.tokens_in, c.tokens_out, "
            "c.cost FROM features f LEFT JOIN explanations e "
            "ON e.run = f.run AND e.feature = f.feature LEFT JOIN llm_costs c "
            "ON c.run = f.run AND c.feature = f.feature WHERE f.run = ? ORDER BY f.rank",
            [run.name],
        )

    def feature(self, run: Run, feature: int) -> Row:
        """One feature of a run.

        Raises:
            RunNotFound: the run does not explain that feature.
        """
        rows = self.features(run)
        for row in rows:
            if row["feature"] == feature:
                return row
        known = ", ".join(str(row["feature"]) for row in rows) or "none yet"
        raise RunNotFound(f"run {run.name} has no feature {feature}; it explains: {known}.")

    def snapshot(self, run: Run, feature: int) -> Snapshot:
        """One feature of a run with its hypotheses and experiments, as they are now.

        Raises:
            RunNotFound: the run does not explain that feature.
        """
        return self._with_evidence(run, self.feature(run, feature))

    def snapshots(self, run: Run) -> Iterator[Snapshot]:
        """Every feature of a run so, in order."""
        return (self._with_evidence(run, row) for row in self.features(run))

    def _with_evidence(self, run: Run, row: Row) -> Snapshot:
        feature = row["feature"]
        return Snapshot(row, self.hypotheses(run, feature), self.experiments(run, feature))

    def hypotheses(self, run: Run, feature: int) -> list[Row]:
        """The hypotheses in the order proposed, their rules as objects."""
        rows = self._records("hypotheses", run, feature)
        rows.sort(key=lambda row: int(row["id"][1:]))
        return [{**row, "rule": _loads(row["rule"])} for row in rows]

    def experiments(self, run: Run, feature: int) -> list[Row]:
        """The experiments in order, each with what was measured (None before it ran)."""
        rows = self._database.records(
            "SELECT e.* EXCLUDE (run, feature, checkpoint_id), o.id AS observation, o.tokens, "
            "o.activations, o.max_activation, o.normalized, o.outcome, o.supports "
            "FROM experiments e LEFT JOIN observations o ON o.run = e.run "
            "AND o.feature = e.feature AND o.experiment = e.id "
            "WHERE e.run = ? AND e.feature = ?",
            [run.name, feature],
        )
        rows.sort(key=lambda row: [int(part) for part in row["id"][1:].split(".")])
        return rows

    def _records(self, view: str, run: Run, feature: int) -> list[Row]:
        query = f"SELECT * FROM {view} WHERE run = ? AND feature = ?"
        return self._database.records(query, [run.name, feature])


HYPOTHESIS_KEYS = ("id", "statement", "status", "parent", "rule")
EXPERIMENT_KEYS = (
    "id",
    "hypothesis",
    "kind",
    "text",
    "predicted",
    "max_activation",
    "normalized",
    "outcome",
)


def export_lines(findings: Findings, run: Run) -> Iterator[str]:
    """One JSON object a feature, in the run's order."""
    for found in findings.snapshots(run):
        yield json.dumps(export_record(run, found), ensure_ascii=False)


def export_record(run: Run, found: Snapshot) -> Row:
    """What `saesage export` says of one feature."""
    row, hypotheses, experiments = found
    origin = run.forked_from
    return {
        "feature": row["feature"],
        "status": row["status"],
        "description": row["description"],
        "labels": row["labels"] or [],
        "not_on": row["not_on"] or [],
        "confidence": row["confidence"],
        "rule": _loads(row["rule"]),
        "hypotheses": [{key: h[key] for key in HYPOTHESIS_KEYS} for h in hypotheses],
        "experiments": [{key: e[key] for key in EXPERIMENT_KEYS} for e in experiments],
        "counts": {
            "rounds": row["round"] or 0,
            "experiments": len(experiments),
            "forward_passes": row["forward_passes"] or 0,
            "active_tokens": row["n_active_tokens"],
            "llm_calls": row["llm_calls"],
            "tokens_in": row["tokens_in"],
            "tokens_out": row["tokens_out"],
            "usd": row["cost"],
        },
        "seconds": row["seconds"],
        "run": run.name,
        "config_hash": run.config_hash,
        "forked_from": None if origin is None else origin.model_dump(mode="json"),
    }


def _loads(text: str | None) -> Any:
    return None if text is None else json.loads(text)
