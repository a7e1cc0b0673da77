"""Long lists: each item is stored once for its thread, and every version of the list comes back."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict, cast

import pytest
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    empty_checkpoint,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph

from graphs.checkpoint_items import PAGE_ITEMS
from graphs.checkpoint_values import SHORT
from graphs.checkpointer import DuckDBSaver, strict_serializer
from tests.checkpointer_cases import Finding, Rows, config
from tools.database import Database, insert

PER_STEP = 3
TEXT = "some text that makes the list a long one " * (SHORT // 40)


def merge(old: Sequence[Finding], new: Sequence[Finding]) -> list[Finding]:
    """Each new one in the place of the old one of its text, or at the end."""
    return list({finding.text: finding for finding in (*old, *new)}.values())


class Findings(TypedDict):
    n: int
    log: list[str]
    findings: Annotated[list[Finding], merge]


def growing_graph(saver: BaseCheckpointSaver[Any], steps: int) -> Any:
    """Each step adds findings, alters the first one, and says so in the log."""

    def step(state: Findings) -> dict[str, Any]:
        n = state["n"] + 1
        names = ["first", *(f"{n}.{each}" for each in range(PER_STEP))]
        found = [Finding(text=f"{name} {TEXT}", score=n) for name in names]
        return {"n": n, "log": [*state["log"], f"{n}"], "findings": found}

    def further(state: Findings) -> str:
        return END if state["n"] >= steps else "step"

    builder = StateGraph(Findings)
    builder.add_node("step", step)
    builder.add_edge(START, "step")
    builder.add_conditional_edges("step", further)
    return builder.compile(checkpointer=saver)


BEGIN: Findings = {"n": 0, "log": [], "findings": []}


@pytest.fixture
def saver(tmp_path: Path) -> Iterator[DuckDBSaver]:
    serde = strict_serializer([Finding])
    with Database.open(tmp_path / "a.duckdb") as database:
        yield DuckDBSaver(database, serde=serde, projection=Rows(database))


def stored_bytes(saver: DuckDBSaver, thread_id: str = "t") -> int:
    """Of all that a thread's findings take."""
    tables = ("checkpoint_blobs", "checkpoint_writes", "checkpoint_items")
    query = "SELECT sum(octet_length(value)) FROM {} WHERE thread_id = ?"
    return sum(saver.database.rows(query.format(table), [thread_id])[0][0] for table in tables)


def n_items(saver: DuckDBSaver, thread_id: str = "t") -> int:
    """Items that are no pages; none of either is there twice."""
    query = (
        "SELECT count(*), count(DISTINCT digest), count(*) FILTER (type <> 'items') "
        "FROM checkpoint_items WHERE thread_id = ?"
    )
    [(rows, distinct, items)] = saver.database.rows(query, [thread_id])
    assert rows == distinct
    return items


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_every_version_of_a_list_comes_back_and_no_item_is_stored_twice(
    saver: DuckDBSaver, durability: Any
) -> None:
    histories: list[list[Any]] = []
    for each in (InMemorySaver(serde=strict_serializer([Finding])), saver):
        graph = growing_graph(each, steps=6)
        graph.invoke(BEGIN, config(), durability=durability)
        histories.append([state.values for state in graph.get_state_history(config())])
    assert histories[0] == histories[1]
    assert all(type(f) is Finding for values in histories[1] for f in values.get("findings", []))
    if durability != "exit":
        assert len(histories[1]) == 8
        # As many as there are states of findings, whose values and writes share them.
        assert n_items(saver) == 6 * (PER_STEP + 1)


def test_twice_the_steps_take_twice_the_room(saver: DuckDBSaver) -> None:
    for steps in (8, 16):
        growing_graph(saver, steps).invoke(BEGIN, config(str(steps)))
    assert 1.8 < stored_bytes(saver, "16") / stored_bytes(saver, "8") < 2.2


def test_a_new_saver_knows_what_an_earlier_one_stored(tmp_path: Path) -> None:
    serde = strict_serializer([Finding])
    for steps in (3, 6):
        with DuckDBSaver.from_conn_string(tmp_path / "a.duckdb", serde=serde) as saver:
            graph = growing_graph(saver, steps)
            graph.invoke(BEGIN if steps == 3 else {"n": 3}, config())
            assert n_items(saver) == steps * (PER_STEP + 1)
    expected = growing_graph(InMemorySaver(), 6).invoke(BEGIN, config())
    with DuckDBSaver.from_conn_string(tmp_path / "a.duckdb", serde=serde) as saver:
        assert growing_graph(saver, 6).get_state(config()).values == expected


def test_pruning_deletes_items_that_nothing_refers_to_and_no_other(saver: DuckDBSaver) -> None:
    graph = growing_graph(saver, 8)
    expected = graph.invoke(BEGIN, config())
    saver.copy_thread("t", "u")
    saver.prune(["t"])
    assert n_items(saver) == len(expected["findings"]) == 1 + 8 * PER_STEP > PAGE_ITEMS
    assert n_items(saver, "u") == 8 * (PER_STEP + 1)
    assert graph.get_state(config()).values == graph.get_state(config("u")).values == expected
    # The first finding is as it was before step 8 again: its item was deleted with the others.
    back = expected["findings"][0].model_copy(update={"score": 7})
    graph.update_state(config(), {"findings": [back]}, as_node="step")
    assert graph.get_state(config()).values["findings"] == [back, *expected["findings"][1:]]
    saver.delete_thread("t")
    assert (n_items(saver), n_items(saver, "u")) == (0, 8 * (PER_STEP + 1))


def test_items_of_a_transaction_that_failed_are_stored_with_the_next(
    saver: DuckDBSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: Any, table: str, rows: Sequence[Any]) -> None:
        if table == "checkpoint_blobs" and any(row[2] == "findings" for row in rows):
            assert connection.execute("SELECT count(*) > 0 FROM checkpoint_items").fetchall()[0][0]
            raise OSError("no more")
        insert(connection, table, rows)

    findings = [Finding(text=TEXT, score=each) for each in range(3)]
    versions: ChannelVersions = {"findings": saver.get_next_version(None, None)}
    values = {"channel_values": {"findings": findings}, "channel_versions": versions}
    checkpoint = cast("Checkpoint", {**empty_checkpoint(), **values})
    put = functools.partial(saver.put, config(checkpoint_ns=""), checkpoint, {}, versions)
    with monkeypatch.context() as patch:
        patch.setattr("graphs.checkpoint_store.insert", fail)
        with pytest.raises(OSError, match="no more"):
            put()
    assert n_items(saver) == 0
    stored = saver.get_tuple(put())
    assert stored is not None
    assert stored.checkpoint["channel_values"] == {"findings": findings}


def test_a_short_list_is_stored_whole(saver: DuckDBSaver) -> None:
    growing_graph(saver, 2).invoke(BEGIN, config())
    kinds = "SELECT DISTINCT type FROM checkpoint_blobs WHERE channel = ?"
    assert ("items",) not in saver.database.rows(kinds, ["log"])
    assert ("items",) in saver.database.rows(kinds, ["findings"])
