"""The DuckDB checkpointer: LangGraph's contract, and the promises beyond it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.report import CapabilityReport
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde import jsonplus
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from graphs.checkpointer import DuckDBSaver, strict_serializer
from tests.checkpointer_cases import (
    BEGIN,
    Finding,
    Rows,
    State,
    branching_graph,
    config,
    entries,
    state_log,
)
from tools.database import Database

TESTS_PER_CAPABILITY = {
    "put": 17,
    "put_writes": 10,
    "get_tuple": 10,
    "list": 16,
    "delete_thread": 5,
    "delete_for_runs": 7,
    "copy_thread": 8,
    "prune": 8,
}
THREAD = config(checkpoint_ns="")


@pytest.fixture
def saver(tmp_path: Path) -> Iterator[DuckDBSaver]:
    serde = strict_serializer([Finding])
    with Database.open(tmp_path / "a.duckdb") as database:
        yield DuckDBSaver(database, serde=serde, projection=Rows(database))


@pytest.fixture(scope="module")
def conformance(tmp_path_factory: pytest.TempPathFactory) -> CapabilityReport:
    folder = tmp_path_factory.mktemp("conformance")

    @checkpointer_test(name="DuckDBSaver")
    async def on_disk() -> AsyncGenerator[DuckDBSaver]:
        path = folder / f"{len(list(folder.iterdir()))}.duckdb"
        async with DuckDBSaver.from_conn_string(path) as saver:
            yield saver

    return asyncio.run(validate(on_disk))


@pytest.mark.parametrize(("capability", "n"), TESTS_PER_CAPABILITY.items())
def test_conformance(conformance: CapabilityReport, capability: str, n: int) -> None:
    result = conformance.results[capability]
    assert result.failures == []
    assert (result.detected, result.passed, result.tests_passed) == (True, True, n)


def test_conformance_leaves_nothing_out(conformance: CapabilityReport) -> None:
    assert conformance.results.keys() == TESTS_PER_CAPABILITY.keys()
    assert sum(result.tests_passed for result in conformance.results.values()) == 81


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_sync_and_async_runs_equal_one_in_memory(saver: DuckDBSaver, durability: Any) -> None:
    expected = branching_graph(InMemorySaver()).invoke(BEGIN, config(), durability=durability)
    graph = branching_graph(saver)
    assert graph.invoke(BEGIN, config(), durability=durability) == expected
    assert asyncio.run(graph.ainvoke(BEGIN, config("a"), durability=durability)) == expected
    for thread_id in ("t", "a"):
        assert graph.get_state(config(thread_id)).values == expected
        assert entries(saver, thread_id) == expected["log"]
    assert len(list(graph.get_state_history(config()))) == (1 if durability == "exit" else 8)


def test_only_changed_channels_are_stored(saver: DuckDBSaver) -> None:
    branching_graph(saver).invoke(BEGIN, config())
    stored = saver.database.rows("SELECT count(*) FROM checkpoint_blobs WHERE channel = 'constant'")
    assert stored == [(1,)]
    assert all(t.checkpoint["channel_values"]["constant"] for t in list(saver.list(THREAD))[:-1])


def test_records_come_back_as_themselves_after_reopening(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # LangGraph warns once in a process, and another test may have been first.
    monkeypatch.setattr(jsonplus, "_warned_blocked_types", set())
    path, serde = tmp_path / "a.duckdb", strict_serializer([Finding])
    with DuckDBSaver.from_conn_string(path, serde=serde) as saver:
        expected = branching_graph(saver).invoke(BEGIN, config())
    with DuckDBSaver.from_conn_string(path, serde=serde) as saver:
        values = branching_graph(saver).get_state(config()).values
    assert values == expected
    assert {type(finding) for finding in values["findings"]} == {Finding}
    assert caplog.text == ""
    with DuckDBSaver.from_conn_string(path) as saver:
        blocked = branching_graph(saver).get_state(config()).values
    assert {type(finding) for finding in blocked["findings"]} == {dict}
    assert "Blocked deserialization" in caplog.text


def test_an_interrupted_run_resumes_in_a_new_saver(tmp_path: Path) -> None:
    def ask(state: State) -> dict[str, Any]:
        return {"log": [f"{interrupt('name?')} after {len(state['log'])}"]}

    builder = StateGraph(State)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    with DuckDBSaver.from_conn_string(tmp_path / "a.duckdb") as saver:
        assert "__interrupt__" in builder.compile(checkpointer=saver).invoke(BEGIN, config())
    with DuckDBSaver.from_conn_string(tmp_path / "a.duckdb") as saver:
        ended = builder.compile(checkpointer=saver).invoke(Command(resume="Ada"), config())
    assert ended["log"] == ["Ada after 0"]


def test_sql_reads_the_skeleton_and_odd_metadata(saver: DuckDBSaver) -> None:
    odd: RunnableConfig = {
        **config(),
        "metadata": {"nan": float("nan"), "inf": float("-inf"), "half": "\ud800!", "zero": "a\0b"},
    }
    branching_graph(saver).invoke({**BEGIN, "constant": "lone \ud83d half"}, odd)
    rows = saver.database.rows(
        "SELECT metadata, checkpoint -> 'channel_versions' FROM checkpoints "
        "WHERE metadata ->> 'source' = 'loop' AND (metadata -> 'step')::INTEGER = 1"
    )
    [(metadata, versions)] = rows
    read = json.loads(metadata, parse_constant=pytest.fail)
    assert (read["nan"], read["inf"], read["half"], read["zero"]) == (
        "nan",
        "-inf",
        "\\ud800!",
        "ab",
    )
    assert "log" in json.loads(versions)
    assert len(list(saver.list(None, filter={"nan": float("nan"), "step": 1}))) == 1
    assert len(state_log(saver)) > 1


def test_a_users_own_file_keeps_its_tables(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "own.duckdb")) as own:
        own.execute("CREATE TABLE sales AS SELECT 7 AS n")
    with DuckDBSaver.from_conn_string(tmp_path / "own.duckdb") as saver:
        saver.setup()
        branching_graph(saver).invoke(BEGIN, config())
        assert saver.database.rows("SELECT n FROM sales") == [(7,)]


def test_an_allowlist_clone_shares_the_database(saver: DuckDBSaver) -> None:
    clone = saver.with_allowlist([("somewhere", "Else")])
    assert clone is not saver
    branching_graph(clone).invoke(BEGIN, config())
    assert len(state_log(saver)) == 10


def test_branches_with_equal_seeds_keep_their_own_values(saver: DuckDBSaver) -> None:
    graph = branching_graph(saver)
    random.seed(0)
    graph.invoke(BEGIN, config())
    middle = next(s for s in graph.get_state_history(config()) if len(s.values["log"]) == 5)
    old = graph.get_state(config())
    random.seed(0)
    fork = graph.update_state(middle.config, {"log": ["forked"]}, as_node="again")
    assert entries(saver) == [*middle.values["log"], "forked"]
    graph.invoke(None, fork)
    assert entries(saver) == state_log(saver)
    assert graph.get_state(old.config).values == old.values


def test_what_a_task_saved_stands_and_what_befell_it_is_replaced(saver: DuckDBSaver) -> None:
    at = saver.put(THREAD, empty_checkpoint(), {}, {})
    saver.put_writes(at, [("a", 1), ("b", 2)], "task", "path")
    saver.put_writes(at, [("__error__", "first")], "task", "path")
    saver.put_writes(at, [("a", 9), ("b", 9), ("c", 3), ("__error__", "second")], "task", "path")
    saver.put_writes(at, [], "task")
    stored = saver.get_tuple(at)
    assert stored is not None
    assert stored.pending_writes == [
        ("task", "__error__", "second"),
        ("task", "a", 1),
        ("task", "b", 2),
        ("task", "c", 3),
    ]


def test_savers_under_threads(saver: DuckDBSaver) -> None:
    def run(n: int) -> list[str]:
        return branching_graph(saver).invoke(BEGIN, config(str(n)), durability="sync")["log"]

    with ThreadPoolExecutor(6) as pool:
        logs = list(pool.map(run, range(12)))
    assert logs == [logs[0]] * 12
    assert all(entries(saver, str(n)) == state_log(saver, str(n)) == logs[0] for n in range(12))


def test_listing_holds_no_lock_between_items(saver: DuckDBSaver) -> None:
    branching_graph(saver).invoke(BEGIN, config())
    listed = saver.list(THREAD)
    first = next(listed)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(saver.delete_thread, "t").result(timeout=5)
    assert len([first, *listed]) == 8
