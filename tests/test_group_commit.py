"""Changes of many threads are committed together, and each still succeeds or fails on its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from graphs import checkpoint_writer
from graphs.checkpointer import DuckDBSaver
from tests.checkpointer_cases import BEGIN, Rows, branching_graph, config, entries, state_log
from tools import group_commit
from tools.database import Database
from tools.group_commit import GroupCommit


class Gate:
    """A commit function that waits to be let through, and keeps what it committed."""

    def __init__(self, refused: Sequence[Any] = (), error: BaseException | None = None) -> None:
        self.committed: list[list[Any]] = []
        self.entered = threading.Semaphore(0)
        self.opened = threading.Semaphore(0)
        self.refused, self.error = refused, error

    def commit(self, changes: Sequence[Any]) -> None:
        self.entered.release()
        assert self.opened.acquire(timeout=10)
        if self.error and set(changes) & set(self.refused):
            raise self.error
        self.committed.append(list(changes))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(12) as pool:
        yield pool


def one_and_then_the_rest(
    gate: Gate, pool: ThreadPoolExecutor, rest: Sequence[Any]
) -> list[Future[None]]:
    """Begin to commit "first"; queue the rest behind it, in order."""
    group = GroupCommit(gate.commit)
    futures = [pool.submit(group.add, "first")]
    assert gate.entered.acquire(timeout=10)
    for n, change in enumerate(rest, 1):
        futures.append(pool.submit(group.add, change))
        until(lambda n=n: len(group._waiting) == n)
    return futures


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_what_gathers_during_a_commit_is_committed_together(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    first, *rest = one_and_then_the_rest(gate, pool, range(8))
    gate.opened.release()
    first.result(timeout=10)
    assert gate.entered.acquire(timeout=10)
    # Nobody is told before the commit.
    assert gate.committed == [["first"]]
    assert not any(future.done() for future in rest)
    gate.opened.release()
    for future in rest:
        future.result(timeout=10)
    assert gate.committed == [["first"], [*range(8)]]


def test_what_nobody_waits_for_is_committed_with_what_comes_next(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "PAUSE_SECONDS", 10)
    gate = Gate()
    group = GroupCommit(gate.commit)
    futures = [pool.submit(group.add, "writes", urgent=False)]
    until(lambda: group._committing)
    futures.append(pool.submit(group.add, "checkpoint"))
    # The second one ends the wait, long before the time is up.
    assert gate.entered.acquire(timeout=5)
    gate.opened.release()
    for future in futures:
        future.result(timeout=5)
    assert gate.committed == [["writes", "checkpoint"]]


def test_what_nobody_waits_for_is_committed_alone_if_nothing_comes() -> None:
    committed: list[Sequence[str]] = []
    GroupCommit(committed.append).add("writes", urgent=False)
    assert committed == [["writes"]]


def test_a_bad_change_fails_alone(pool: ThreadPoolExecutor) -> None:
    gate = Gate(refused=[2, 5], error=ValueError("bad"))
    first, *rest = one_and_then_the_rest(gate, pool, range(8))
    gate.opened.release(10)
    first.result(timeout=10)
    errors = [future.exception(timeout=10) for future in rest]
    assert [n for n, error in enumerate(errors) if error] == [2, 5]
    assert errors[2] is gate.error
    assert gate.committed == [["first"], [0], [1], [3], [4], [6], [7]]


def test_an_interrupt_ends_one_thread_and_the_next_takes_over(pool: ThreadPoolExecutor) -> None:
    gate = Gate(refused=["first"], error=KeyboardInterrupt())
    first, *rest = one_and_then_the_rest(gate, pool, range(3))
    gate.opened.release(10)
    assert isinstance(first.exception(timeout=10), KeyboardInterrupt)
    for future in rest:
        future.result(timeout=10)
    assert gate.committed == [[0, 1, 2]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "a.duckdb") as database:
        yield database


def test_steps_of_many_threads_share_transactions(
    database: Database, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver = DuckDBSaver(database, projection=Rows(database))
    commits: list[int] = []
    save = checkpoint_writer.store.save

    def counted(connection: Any, keeper: Any, checkpoints: Any, replaced: Any) -> None:
        commits.append(len(checkpoints))
        save(connection, keeper, checkpoints, replaced)

    monkeypatch.setattr(checkpoint_writer.store, "save", counted)
    graph = branching_graph(saver)

    def run(n: int) -> list[str]:
        return graph.invoke(BEGIN, config(str(n)), durability="async")["log"]

    logs = list(pool.map(run, range(12)))
    assert all(entries(saver, str(n)) == state_log(saver, str(n)) == logs[0] for n in range(12))
    assert sum(commits) == 12 * 8
    assert max(commits) > 1


def test_a_refused_row_fails_its_own_thread_alone(
    database: Database, pool: ThreadPoolExecutor
) -> None:
    rows = Rows(database)
    rows.refuses = "entry of 3"
    saver = DuckDBSaver(database, projection=rows)

    def put(n: int) -> None:
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"log": [f"entry of {n}"]}
        checkpoint["channel_versions"] = {"log": "1"}
        saver.put(config(str(n), checkpoint_ns=""), checkpoint, {}, {"log": "1"})

    with database.transaction():
        # None can be committed as long as this thread is in a transaction: all gather.
        futures = [pool.submit(put, n) for n in range(8)]
        until(lambda: all(future.running() for future in futures))
    assert [n for n, f in enumerate(futures) if f.exception(timeout=10)] == [3]
    for n in range(8):
        expected = [] if n == 3 else [f"entry of {n}"]
        assert entries(saver, str(n)) == state_log(saver, str(n)) == expected


def test_savers_on_one_database_see_each_others_steps(database: Database) -> None:
    one, other = (DuckDBSaver(database, projection=Rows(database)) for _ in range(2))
    for saver, steps in ((one, 1), (other, 2), (one, 3)):
        branching_graph(saver).invoke({"log": [f"{steps}"]}, config())
        assert entries(one) == state_log(one)
    # The first one's memory of the thread is out of date twice over.
    other.delete_thread("t")
    branching_graph(one).invoke(BEGIN, config())
    assert entries(one) == state_log(one) == entries(other)
    assert len(entries(one)) == 10


def test_rows_are_right_for_threads_that_are_no_longer_remembered(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_writer, "THREADS_REMEMBERED", 2)
    saver = DuckDBSaver(database, projection=Rows(database))
    graph = branching_graph(saver)
    for entry in ("first", "second"):
        for thread in "abcd":
            graph.update_state(config(thread), {"log": [entry]}, as_node="plan")
    for thread in "abcd":
        assert entries(saver, thread) == state_log(saver, thread) == ["first", "second"]
    assert len(saver._writer._newest) == 2
