"""The state that a checkpoint holds."""

from __future__ import annotations

from typing import NamedTuple, cast

from graphs.checkpointer import DuckDBSaver, strict_serializer
from graphs.records import RECORD_TYPES
from graphs.state import ExplainState
from tools.database import Database
from tools.errors import CheckpointNotFound

BRANCH_TO = "branch:to:"
"""How LangGraph calls the channel that makes a node run next."""


class Moment(NamedTuple):
    """An investigation as one checkpoint has it."""

    checkpoint: str
    state: ExplainState
    next: str | None
    """The node that runs next; None where it ended."""


def moment(database: Database, thread: str, checkpoint: str) -> Moment:
    """The state that a checkpoint holds, and what would run next.

    Raises:
        CheckpointNotFound: the thread has no such checkpoint.
    """
    saver = DuckDBSaver(database, serde=strict_serializer(RECORD_TYPES))
    found = saver.get_tuple(
        {"configurable": {"thread_id": thread, "checkpoint_ns": "", "checkpoint_id": checkpoint}}
    )
    if found is None:
        raise CheckpointNotFound(f"there is no checkpoint {checkpoint} of {thread}.")
    values = found.checkpoint["channel_values"]
    state = {key: values.get(key) for key in ExplainState.__annotations__}
    branches = (name for name in values if name.startswith(BRANCH_TO))
    node = next((name.removeprefix(BRANCH_TO) for name in branches), None)
    return Moment(checkpoint, cast("ExplainState", state), node)
