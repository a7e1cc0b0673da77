"""A graph, its records and a projection for the tests of the checkpointer."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

import duckdb
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from pydantic import BaseModel, ConfigDict

from graphs.checkpointer import DuckDBSaver
from graphs.projecting import Change
from tools.database import Database


class Finding(BaseModel):
    model_config = ConfigDict(frozen=True)
    text: str
    score: float


class State(TypedDict):
    constant: str
    log: Annotated[list[str], operator.add]
    findings: Annotated[list[Finding], operator.add]


class Note(TypedDict):
    text: str


class Rows:
    """A projection that keeps each entry of the channel `log` as a row."""

    def __init__(self, database: Database) -> None:
        self.refuses = ""
        database.rows("CREATE TABLE IF NOT EXISTS entries (thread_id VARCHAR, entry VARCHAR)")

    def project(self, connection: duckdb.DuckDBPyConnection, changes: Sequence[Change]) -> None:
        for thread_id, checkpoint_id, before, after in changes:
            assert checkpoint_id
            for entry in after.get("log", [])[len(before.get("log", [])) :]:
                connection.execute("INSERT INTO entries VALUES (?, ?)", [thread_id, entry])
                if entry == self.refuses:
                    raise ValueError(entry)

    def forget(self, connection: duckdb.DuckDBPyConnection, thread_id: str) -> None:
        connection.execute("DELETE FROM entries WHERE thread_id = ?", [thread_id])

    def copy(self, connection: duckdb.DuckDBPyConnection, source: str, target: str) -> None:
        connection.execute(
            "INSERT INTO entries SELECT ?, entry FROM entries WHERE thread_id = ?", [target, source]
        )


def config(thread_id: str = "t", **more: Any) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, **more}}


def branching_graph(saver: BaseCheckpointSaver[Any]) -> Any:
    def note(state: Note) -> dict[str, Any]:
        finding = Finding(text=state["text"], score=0.5)
        return {"log": [state["text"]], "findings": [finding]}

    def spread(state: State) -> list[Send]:
        return [Send("note", {"text": f"{len(state['log'])}.{n}"}) for n in range(3)]

    builder = StateGraph(State)
    builder.add_node("plan", lambda _: {"log": ["plan"]})
    builder.add_node("note", note)
    builder.add_node("again", lambda _: {"log": ["again"]})
    builder.add_edge(START, "plan")
    builder.add_conditional_edges("plan", spread, ["note"])
    builder.add_edge("note", "again")
    builder.add_conditional_edges("again", lambda s: END if len(s["log"]) > 9 else "plan")
    return builder.compile(checkpointer=saver)


BEGIN: State = {"constant": "x" * 1000, "log": [], "findings": []}


def entries(saver: DuckDBSaver, thread_id: str = "t") -> list[str]:
    found = saver.database.rows("SELECT entry FROM entries WHERE thread_id = ?", [thread_id])
    return [entry for (entry,) in found]


def state_log(saver: DuckDBSaver, thread_id: str = "t") -> list[str]:
    newest = saver.get_tuple(config(thread_id))
    return newest.checkpoint["channel_values"].get("log", []) if newest else []
