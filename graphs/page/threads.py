"""Which threads a run has: one for each feature, and the forks of these."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from graphs.projection import split_thread, thread_of
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
    store = RunStore(database)
    forks: dict[int, list[Run]] = {}
    for each in [] if run.forked_from else store.all():
        if each.forked_from is not None and each.root == run.name:
            _, feature = split_thread(each.forked_from.thread)
            forks.setdefault(feature, []).append(each)
    return [
        _thread(each, feature)
        for feature in store.planned(run)
        for each in (run, *forks.get(feature, []))
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
    name, feature = split_thread(id)
    store = RunStore(database)
    run = store.named(name)
    if feature not in store.planned(run):
        raise RunNotFound(f"run {name} has no feature {feature}; see `saesage show`.")
    return run, _thread(run, feature)


def _thread(run: Run, feature: int) -> Thread:
    fork = None if run.forked_from is None else run.short_name
    return Thread(thread_of(run.name, feature), run.name, feature, fork)
