"""From a database to the records that a page shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from graphs.config import ROLES, CorpusConfig, DatasetConfig
from graphs.page.feature_reader import FeatureReader
from graphs.page.overview import KindOutcome, Overview, Refuted, RunFacts
from graphs.page.records import FeaturePage
from graphs.page.scores import (
    metrics_of,
    scores_of_runs,
)
from graphs.page.summaries import (
    newest,
    summaries,
)
from graphs.page.threads import Thread, chosen_threads, thread_named, threads_of
from graphs.runs import Run, RunStore
from tools.database import Database

SYMBOLIC = "symbolic"
"""The policy that words its reading of the evidence by rote."""

MOST_REFUTED = 8
"""Hypotheses listed as those that most measurements spoke against."""


def read_overview(
    database: Database, features: Sequence[int] | None = None, run: str | None = None
) -> Overview:
    """A run with what is known of its features in a line each.

    Args:
        database: open.
        features: those to show; None for all.
        run: its name; None for the newest.

    Raises:
        RunNotFound: there is no such run, or it does not explain one of the features.
    """
    store = RunStore(database)
    chosen = store.latest() if run is None else store.named(run)
    threads = chosen_threads(threads_of(database, chosen), features)
    # A fork has its original's evidence, which would count twice.
    originals = [thread for thread in threads if thread.fork is None] or threads
    judge, found = scores_of_runs(database, {thread.run for thread in threads})
    keys = [(thread.run, thread.feature) for thread in threads]
    return Overview(
        run=_run_facts(database, chosen),
        threads=tuple(summaries(database, threads, found)),
        metrics=metrics_of(found[key] for key in keys if key in found),
        judge=judge,
        most_refuted=_most_refuted(database, originals),
        kinds=_kinds(database, originals),
        database=database.path,
    )


def read_feature(database: Database, thread: str) -> FeaturePage:
    """All that is shown of one thread.

    Args:
        database: open.
        thread: the id of a feature's thread, or of a fork.

    Raises:
        RunNotFound: there is no such thread.
    """
    run, found = thread_named(database, thread)
    return FeatureReader(database, run, [thread]).page(found)


def _run_facts(database: Database, run: Run) -> RunFacts:
    [(started, version)] = database.rows(
        "SELECT created_at, version FROM runs WHERE run = ?", [run.name]
    )
    config = run.config
    policies = sorted({config.policy_of(role) for role in ROLES})
    models = config.llm.models if config.llm and policies != ["symbolic"] else ()
    sae = config.subject.sae
    return RunFacts(
        name=run.name,
        started=_to_second(started),
        version=version,
        model=_named(config.subject.model or config.subject.name),
        sae="" if sae is None else _named(sae.path or f"{sae.release}/{sae.id}"),
        corpus=_corpus(config.corpus),
        policies=", ".join((*policies, *models)),
        seed=config.seed,
        rounds=config.budget.rounds,
        experiments=config.budget.experiments,
    )


def _corpus(config: CorpusConfig) -> str:
    source = config.source
    name = source.dataset if isinstance(source, DatasetConfig) else source
    return f"{name}, {config.max_tokens:,} tokens"


def _named(place: str) -> str:
    """A hub's name as it is; of a directory the last two parts."""
    return "/".join(place.rstrip("/").split("/")[-2:]) if "/" in place[1:] else place


def _to_second(stamp: datetime) -> datetime:
    return stamp.replace(microsecond=0)


def _most_refuted(database: Database, threads: Sequence[Thread]) -> tuple[Refuted, ...]:
    by_id = {thread.id: thread for thread in threads}
    rows = newest(database, "hypotheses_log", list(by_id))
    found = [
        Refuted(
            anchor=by_id[row["thread_id"]].anchor,
            feature=row["feature"],
            hypothesis=row["id"],
            statement=row["statement"],
            n_against=len(row["contradicting"]),
            n_tests=sum(len(row[key]) for key in ("supporting", "contradicting", "inconclusive")),
        )
        for row in rows
        if row["status"] == "refuted"
    ]
    found.sort(key=lambda each: (-each.n_against, each.n_tests, each.anchor, each.hypothesis))
    return tuple(found[:MOST_REFUTED])


def _kinds(database: Database, threads: Sequence[Thread]) -> tuple[KindOutcome, ...]:
    rows = database.rows(
        "WITH o AS (SELECT DISTINCT thread_id, experiment, supports FROM observations_log), "
        "e AS (SELECT DISTINCT thread_id, id, kind FROM experiments_log) "
        "SELECT e.kind, count(*) FILTER (o.supports), count(*) FILTER (NOT o.supports), "
        "count(*) FILTER (o.supports IS NULL) FROM e JOIN o ON o.thread_id = e.thread_id "
        "AND o.experiment = e.id WHERE e.thread_id IN (SELECT unnest(?)) "
        "GROUP BY e.kind ORDER BY count(*) DESC, e.kind",
        [[thread.id for thread in threads]],
    )
    return tuple(KindOutcome(*row) for row in rows)
