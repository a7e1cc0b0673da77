"""A checkpoint between the form LangGraph uses and the form the tables hold."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from graphs.checkpoint_values import Stored, revive


class Address(NamedTuple):
    """Where a checkpoint lies."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str

    def config(self) -> RunnableConfig:
        """The config that names this checkpoint."""
        return {"configurable": self._asdict()}


class StoredWrite(NamedTuple):
    """One write of one task, its value still serialised."""

    task_id: str
    task_path: str
    idx: int
    channel: str
    value: Stored

    def revived(self, serde: SerializerProtocol) -> PendingWrite:
        """The write as LangGraph wants it."""
        return self.task_id, self.channel, revive(self.value, serde)


class TaskWrites(NamedTuple):
    """What one task wrote, to be stored."""

    address: Address
    """The checkpoint that the task started from."""
    task_id: str
    writes: Sequence[StoredWrite]


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """One checkpoint, its values still serialised."""

    address: Address
    parent_id: str | None
    skeleton: Mapping[str, Any]
    """The LangGraph checkpoint without `channel_values`."""
    metadata: Mapping[str, Any]
    values: Mapping[str, Stored] = field(default_factory=dict[str, Stored])
    """By channel. To be saved: the changed ones. Loaded: all, or those asked for."""
    writes: Sequence[StoredWrite] = ()
    """The pending writes in the order LangGraph applies them."""

    @property
    def versions(self) -> dict[str, str]:
        """The version of each channel as the tables spell it."""
        return {name: str(v) for name, v in self.skeleton["channel_versions"].items()}

    def revived(self, serde: SerializerProtocol) -> CheckpointTuple:
        """The checkpoint as LangGraph wants it."""
        values = {name: revive(stored, serde) for name, stored in self.values.items()}
        parent = self.address._replace(checkpoint_id=self.parent_id) if self.parent_id else None
        return CheckpointTuple(
            config=self.address.config(),
            checkpoint=cast("Checkpoint", {**self.skeleton, "channel_values": values}),
            metadata=cast("CheckpointMetadata", self.metadata),
            parent_config=parent.config() if parent else None,
            pending_writes=[write.revived(serde) for write in self.writes],
        )


def strict_serializer(record_types: Iterable[type] = ()) -> JsonPlusSerializer:
    """A serializer that revives LangGraph's own safe types and these, and never unpickles.

    A record of any other type comes back as a plain dict, with a warning in the log.
    """
    return JsonPlusSerializer(allowed_msgpack_modules=list(record_types))


def history(
    channel: str, line: Iterable[StoredCheckpoint], serde: SerializerProtocol
) -> DeltaChannelHistory:
    """The writes of a delta channel since its last value, oldest first, and that value if any.

    Args:
        channel: Its name.
        line: The ancestors of the checkpoint that is asked about, parent first.
        serde: Revives the values.
    """
    writes: deque[PendingWrite] = deque()
    for ancestor in line:
        for write in reversed(ancestor.writes):
            if write.channel == channel:
                writes.appendleft(write.revived(serde))
        if seed := ancestor.values.get(channel):
            return {"writes": [*writes], "seed": revive(seed, serde)}
    return {"writes": [*writes]}


def place(config: RunnableConfig) -> tuple[str, str, str | None]:
    """The thread, namespace and checkpoint id of a config; no id means the newest."""
    given = config.get("configurable", {})
    return str(given["thread_id"]), given.get("checkpoint_ns", ""), given.get("checkpoint_id")


def as_stored(value: Mapping[str, Any]) -> dict[str, Any]:
    """What reading `value` back from a JSON column gives."""
    return json.loads(to_json(value))


def to_json(value: object) -> str:
    r"""Dump as JSON that DuckDB and every other reader accepts.

    NaN and infinities become strings ("nan"), lone surrogates their escapes spelt out ("\\ud800"):
    JSON has no form for them, and a run must not die for a label in its metadata.
    """
    with suppress(ValueError):
        text = json.dumps(value, allow_nan=False)
        # Else there may be half of a surrogate pair.
        if "\\ud" not in text:
            return text
    return json.dumps(_portable(value), allow_nan=False)


def _portable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {_portable(key): _portable(each) for key, each in items}
    if isinstance(value, list | tuple):
        return [_portable(each) for each in cast("Sequence[Any]", value)]
    return value
