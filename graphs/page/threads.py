"""Which threads a run has: one for each feature, and the forks of these."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from graphs.projection import thread_of
from graphs.runs import Run, RunStore
from tools.database import Database
from tools.errors import RunNotFound


@dataclass(frozen=True, slots=True)
class Thread:
    """A feature's investigation, or a fork of it."""

    id: str
    run: str
    feature: int
    fork: str | None
    """The fork's name; None for the original."""

    @property
    def anchor(self) -> str:
        """What links to it name; nothing that HTML or CSS gives a meaning."""
        if self.fork is None:
            return f"f{self.feature}"
        return f"f{self.feature}-{re.sub(r'[^A-Za-z0-9_-]', '_', self.fork)}"


def threads_of(database: Database, run: Run) -> list[Thread]:
    """Every thread of a run: its features in their order, each followed by its forks."""
    planned = RunStore(database).planned(run)
    originals = {thread_of(run.name, feature): feature for feature in planned}
    forks: dict[int, list[Thread]] = {}
    for thread, feature in database.rows(
        "SELECT DISTINCT thread_id, feature FROM feature_log WHERE run = ? ORDER BY thread_id",
        [run.name],
    ):
        if thread not in originals:
            fork = Thread(thread, run.name, feature, _fork_name(thread, run.name, feature))
            forks.setdefault(feature, []).append(fork)
    return [
        thread
        for id, feature in originals.items()
        for thread in (Thread(id, run.name, feature, None), *forks.get(feature, []))
    ]


def chosen_threads(threads: Sequence[Thread], features: Sequence[int] | None) -> list[Thread]:
    """The threads of these features, in the order of the run; all of them for None.

    Raises:
        RunNotFound: the run does not explain one of the features.
    """
    if features is None:
        return list(threads)
    known = list(dict.fromkeys(thread.feature for thread in threads))
    for feature in features:
        if feature not in known:
            listed = ", ".join(map(str, known)) or "none yet"
            raise RunNotFound(f"the run has no feature {feature}; it explains: {listed}.")
    return [thread for thread in threads if thread.feature in features]


def thread_named(database: Database, id: str) -> tuple[Run, Thread]:
    """A thread by its id, with its run.

    Raises:
        RunNotFound: there is none.
    """
    store = RunStore(database)
    rows = database.rows(
        "SELECT run, feature FROM feature_log WHERE thread_id = ? UNION "
        "SELECT run, feature FROM run_features WHERE run || '/' || feature = ?",
        [id, id],
    )
    for run, feature in rows:
        return store.named(run), Thread(id, run, feature, _fork_name(id, run, feature))
    raise RunNotFound(f"{database.path} holds no thread {id!r}; `saesage show` lists features.")


def _fork_name(id: str, run: str, feature: int) -> str | None:
    return id.removeprefix(thread_of(run, feature)).strip("/#~:") or None
