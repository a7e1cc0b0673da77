"""What is known of threads in a line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from graphs.page.overview import ScoreCell, Spending, ThreadSummary
from graphs.page.threads import Thread
from tools.database import Database

Row = dict[str, Any]
Investigated = tuple[str, int]
"""A run, or a fork, and a feature."""

Scores = Mapping[Investigated, Mapping[str, Mapping[str, ScoreCell]]]
"""Then by metric and explainer."""

NOTHING: Row = {}
NO_SPENDING = Spending(0, 0, 0, 0.0)


def newest(database: Database, table: str, ids: Sequence[str]) -> list[Row]:
    """The newest version of each record of some threads, in the order in which they came up.

    Args:
        database: open.
        table: a log of `graphs.projection` that has one record a thread, or records with an id.
        ids: of the threads.
    """
    keys = "thread_id" if table == "feature_log" else "thread_id, id"
    return database.records(
        f"SELECT * FROM {table} WHERE thread_id IN (SELECT unnest(?)) QUALIFY row_number() OVER "
        f"(PARTITION BY {keys} ORDER BY checkpoint_id DESC, recorded_at DESC) = 1",
        [list(ids)],
    )


def failures(database: Database, runs: Iterable[str]) -> dict[Investigated, Row]:
    """The newest failure of each feature of some runs."""
    rows = database.records(
        "SELECT run, feature, message, failed_at FROM failures WHERE run IN (SELECT unnest(?)) "
        "QUALIFY row_number() OVER (PARTITION BY run, feature ORDER BY failed_at DESC) = 1",
        [list(runs)],
    )
    return {(row["run"], row["feature"]): row for row in rows}


def failure_of(
    thread: Thread, progress: Row | None, failed: Mapping[Investigated, Row]
) -> str | None:
    """Why an unfinished thread could not go on; None if nothing keeps it from it."""
    failure = failed.get((thread.run, thread.feature))
    if failure is None:
        return None
    if progress is None:
        return str(failure["message"])
    later = failure["failed_at"] >= progress["recorded_at"]
    return str(failure["message"]) if progress["status"] == "running" and later else None


def summaries(database: Database, threads: Sequence[Thread], scores: Scores) -> list[ThreadSummary]:
    """One for each thread, in their order."""
    ids, runs = [thread.id for thread in threads], {thread.run for thread in threads}
    progress = {row["thread_id"]: row for row in newest(database, "feature_log", ids)}
    explained = {row["thread_id"]: row for row in newest(database, "explanations_log", ids)}
    tests = _counted(database, "experiments_log", ids, "TRUE")
    refuted = _refuted(database, ids)
    spent = spending_of(database, runs)
    failed = failures(database, runs)
    return [
        summary(
            thread,
            progress.get(thread.id),
            explained.get(thread.id),
            failure_of(thread, progress.get(thread.id), failed),
            (tests.get(thread.id, 0), refuted.get(thread.id, 0)),
            spent.get((thread.run, thread.feature), NO_SPENDING),
            scores.get((thread.run, thread.feature), {}),
        )
        for thread in threads
    ]


def summary(
    thread: Thread,
    progress: Row | None,
    explained: Row | None,
    failure: str | None,
    counts: tuple[int, int],
    spending: Spending,
    scores: Mapping[str, Mapping[str, ScoreCell]],
) -> ThreadSummary:
    """One thread in a line.

    Args:
        thread: which.
        progress: its newest row in `feature_log`, if it has any.
        explained: its newest row in `explanations_log`, if it has any.
        failure: see `failure_of`.
        counts: of its experiments, and of its refuted hypotheses.
        spending: on language models.
        scores: by metric and explainer.
    """
    known = progress or NOTHING
    return ThreadSummary(
        thread=thread.id,
        anchor=thread.anchor,
        feature=thread.feature,
        fork=thread.fork,
        status="failed" if failure else known.get("status", "pending"),
        words=_words(known, explained, failure),
        confidence=None if explained is None else explained["confidence"],
        n_experiments=counts[0],
        n_refuted=counts[1],
        density=density(known),
        seconds=known.get("seconds"),
        spending=spending,
        scores=scores,
    )


def density(progress: Row) -> float | None:
    """Share of the corpus' tokens on which the feature fires."""
    if not progress.get("n_tokens"):
        return None
    return progress["n_active_tokens"] / progress["n_tokens"]


def _words(progress: Row, explained: Row | None, failure: str | None) -> str:
    if explained is not None:
        return str(explained["description"])
    if failure is not None:
        return failure
    if progress.get("status") in ("dead", "too_rare"):
        return (
            f"Fires on {progress['n_active_tokens']:,} of {progress['n_tokens']:,} corpus tokens."
        )
    return str(progress.get("stopped") or "Not explained yet.")


def _counted(database: Database, table: str, ids: Sequence[str], where: str) -> dict[str, int]:
    rows = database.rows(
        f"SELECT thread_id, count(DISTINCT id) FROM {table} "
        f"WHERE thread_id IN (SELECT unnest(?)) AND {where} GROUP BY thread_id",
        [list(ids)],
    )
    return dict(rows)


def _refuted(database: Database, ids: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in newest(database, "hypotheses_log", ids):
        if row["status"] == "refuted":
            counts[row["thread_id"]] = counts.get(row["thread_id"], 0) + 1
    return counts


def spending_of(database: Database, runs: Iterable[str]) -> dict[Investigated, Spending]:
    """What language models took for each feature of some runs that asked one."""
    rows = database.rows(
        "SELECT run, feature, calls, tokens_in, tokens_out, cost FROM llm_costs "
        "WHERE run IN (SELECT unnest(?))",
        [list(runs)],
    )
    return {(run, feature): Spending(*spent) for run, feature, *spent in rows}
