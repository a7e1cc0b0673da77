"""What the DuckDB checkpointer promises beyond LangGraph's contract.

Rows and checkpoints never disagree, pruning keeps the state of delta channels, and a process
killed at any moment resumes to the same result.
"""

from __future__ import annotations

import itertools
import multiprocessing
import operator
import random
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph

from graphs.checkpointer import DuckDBSaver, strict_serializer
from tests.checkpointer_cases import (
    BEGIN,
    Finding,
    Rows,
    branching_graph,
    config,
    entries,
    state_log,
)
from tools.database import Database


class DeltaState(TypedDict):
    n: int
    steady: Annotated[list[str], DeltaChannel(lambda old, new: old + sum(new, []))]
    spotted: Annotated[
        list[str], DeltaChannel(lambda old, new: old + sum(new, []), snapshot_frequency=3)
    ]


KILLS = 8


def delta_graph(saver: BaseCheckpointSaver[Any], steps: int = 7) -> Any:
    def step(state: DeltaState) -> dict[str, Any]:
        n = state["n"] + 1
        return {"n": n, "steady": [f"{n}"] if n < 3 else [], "spotted": [f"{n}"]}

    builder = StateGraph(DeltaState)
    builder.add_node("step", step)
    builder.add_edge(START, "step")
    builder.add_conditional_edges("step", lambda s: END if s["n"] >= steps else "step")
    return builder.compile(checkpointer=saver)


@pytest.fixture
def saver(tmp_path: Path) -> Iterator[DuckDBSaver]:
    with Database.open(tmp_path / "a.duckdb") as database:
        yield DuckDBSaver(database, serde=strict_serializer([Finding]), projection=Rows(database))


def count(saver: DuckDBSaver, table: str) -> int:
    return saver.database.rows(f"SELECT count(*) FROM {table}")[0][0]


def test_a_projection_that_raises_leaves_neither_row_nor_checkpoint(saver: DuckDBSaver) -> None:
    assert isinstance(saver.projection, Rows)
    saver.projection.refuses = "again"
    graph = branching_graph(saver)
    with pytest.raises(ValueError, match="again"):
        graph.invoke(BEGIN, config(), durability="sync")
    assert entries(saver) == state_log(saver) == ["plan", "1.0", "1.1", "1.2"]
    saver.projection.refuses = ""
    assert graph.invoke(None, config())["log"] == entries(saver) == state_log(saver)
    assert len(entries(saver)) == 10


def test_rows_follow_deleting_copying_and_pruning(saver: DuckDBSaver) -> None:
    graph = branching_graph(saver)
    log = graph.invoke(BEGIN, config("a"))["log"]
    saver.copy_thread("a", "b")
    assert graph.get_state(config("b")).values == graph.get_state(config("a")).values
    with pytest.raises(ValueError, match="exists"):
        saver.copy_thread("a", "b")
    saver.prune(["a", "unknown"])
    assert entries(saver, "a") == state_log(saver, "a") == log
    assert len(list(saver.list(config("a")))) == 1
    saver.delete_thread("a")
    assert (entries(saver, "a"), entries(saver, "b")) == ([], log)
    saver.prune(["b"], strategy="delete")
    tables = ("checkpoints", "checkpoint_blobs", "checkpoint_writes", "entries")
    assert [count(saver, table) for table in tables] == [0, 0, 0, 0]
    with pytest.raises(ValueError, match="keep_latest"):
        saver.prune(["a"], strategy="oldest")


def test_rows_follow_deleting_a_run(saver: DuckDBSaver) -> None:
    graph = branching_graph(saver)
    first = graph.invoke(BEGIN, {**config(), "metadata": {"run_id": "one"}})["log"]
    graph.invoke({"log": ["more"]}, {**config(), "metadata": {"run_id": "two"}})
    assert len(entries(saver)) > len(first)
    saver.delete_for_runs(["two"])
    assert entries(saver) == state_log(saver) == first
    saver.delete_for_runs(["one", "unknown"])
    assert entries(saver) == state_log(saver) == []


def test_pruning_keeps_only_the_values_still_referred_to(saver: DuckDBSaver) -> None:
    graph = branching_graph(saver)
    expected = graph.invoke(BEGIN, config())
    saver.prune(["t"])
    newest = saver.get_tuple(config())
    assert newest is not None
    assert count(saver, "checkpoint_blobs") == len(newest.checkpoint["channel_values"])
    assert graph.get_state(config()).values == expected
    assert len(graph.invoke({"log": ["more"]}, config())["log"]) > len(expected["log"])


@pytest.mark.parametrize("durability", ["sync", "exit"])
@pytest.mark.parametrize("steps", [1, 2, 5, 6, 7])
def test_pruning_keeps_the_state_of_delta_channels(
    saver: DuckDBSaver, steps: int, durability: Any
) -> None:
    graph = delta_graph(saver, steps)
    expected = graph.invoke({"n": 0, "steady": [], "spotted": []}, config(), durability=durability)
    assert expected["spotted"] == [f"{n + 1}" for n in range(steps)]
    saver.prune(["t"])
    assert graph.get_state(config()).values == expected
    grown = delta_graph(saver, steps + 2).invoke({"n": steps}, config())
    assert grown["spotted"] == [*expected["spotted"], f"{steps + 1}", f"{steps + 2}"]
    assert grown["steady"][: len(expected["steady"])] == expected["steady"]


def test_pruning_goes_back_no_further_than_the_last_snapshot(saver: DuckDBSaver) -> None:
    class Snapshots(TypedDict):
        n: int
        log: Annotated[
            list[str], DeltaChannel(lambda old, new: old + sum(new, []), snapshot_frequency=3)
        ]

    builder = StateGraph(Snapshots)
    builder.add_node("step", lambda s: {"n": s["n"] + 1, "log": [str(s["n"])]})
    builder.add_edge(START, "step")
    builder.add_conditional_edges("step", lambda s: END if s["n"] >= 20 else "step")
    graph = builder.compile(checkpointer=saver)
    graph.invoke({"n": 0, "log": []}, config())
    saver.prune(["t"])
    assert 1 <= len(list(saver.list(config()))) <= 4
    assert graph.get_state(config()).values["log"] == [str(n) for n in range(20)]


def test_delta_history_equals_the_default_walk(saver: DuckDBSaver) -> None:
    delta_graph(saver).invoke({"n": 0, "steady": ["s"], "spotted": ["s"]}, config())
    channels = ["steady", "spotted", "unknown"]
    for checkpoint in saver.list(config()):
        at = {"config": checkpoint.config, "channels": channels}
        expected = BaseCheckpointSaver.get_delta_channel_history(saver, **at)
        assert saver.get_delta_channel_history(**at) == expected
    assert saver.get_delta_channel_history(config=config("unknown"), channels=["a"]) == {
        "a": {"writes": []}
    }


class Walk(TypedDict):
    n: int
    log: Annotated[list[str], operator.add]


def walk_graph(saver: BaseCheckpointSaver[Any] | None) -> Any:
    """Two branches side by side, again and again; without waits it would outrun the killer."""

    def branch(name: str) -> Any:
        def run(state: Walk) -> dict[str, Any]:
            time.sleep(0.004)
            return {"log": [f"{name}{state['n']}"]}

        return run

    builder = StateGraph(Walk)
    builder.add_node("count", lambda s: {"n": s["n"] + 1})
    builder.add_node("left", branch("left"))
    builder.add_node("right", branch("right"))
    builder.add_node("join", lambda _: {})
    builder.add_edge(START, "count")
    for name in ("left", "right"):
        builder.add_edge("count", name)
        builder.add_edge(name, "join")
    builder.add_conditional_edges("join", lambda s: END if s["n"] >= 15 else "count")
    return builder.compile(checkpointer=saver)


def walk(path: str, durability: Any) -> None:
    with Database.open(path) as database:
        saver = DuckDBSaver(database, projection=Rows(database))
        begun = saver.get_tuple(config()) is not None
        start = None if begun else {"n": 0, "log": []}
        walk_graph(saver).invoke(start, config(), durability=durability)


@pytest.mark.parametrize("durability", ["sync", "async"])
def test_killed_at_any_moment_it_resumes_to_the_same_result(
    tmp_path: Path, durability: str
) -> None:
    # Children are forked from a clean process, not from one that pytest has given threads.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    dice = random.Random(0)
    kills = 0
    for trial in itertools.count():
        if kills >= KILLS:
            break
        kills += kill_until_done(processes, str(tmp_path / f"{trial}.duckdb"), durability, dice)


def kill_until_done(
    processes: ForkServerContext, path: str, durability: str, dice: random.Random
) -> int:
    """Walk, killed again and again, to the end of the graph; how often it was killed."""
    for kills in itertools.count():
        child = processes.Process(target=walk, args=(path, durability))
        child.start()
        # Later attempts get longer, or a slow machine would never get past opening the file.
        child.join(timeout=dice.uniform(0.03, 0.25) * (1 + kills / 10))
        child.kill()
        child.join()
        with DuckDBSaver.from_conn_string(path) as saver:
            Rows(saver.database)
            assert entries(saver) == state_log(saver)
            if child.exitcode == 0:
                expected = walk_graph(None).invoke({"n": 0, "log": []})
                assert walk_graph(saver).get_state(config()).values == expected
                assert entries(saver) == expected["log"]
                return kills
    raise AssertionError("the walk never ended")
