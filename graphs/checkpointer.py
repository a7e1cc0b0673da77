"""A LangGraph checkpointer on DuckDB: sync and async, only what changed, readable from SQL."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from duckdb import DuckDBPyConnection
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from graphs import checkpoint_store as store
from graphs.checkpoint_async import ThreadedSaver
from graphs.checkpoint_lineage import lineage, superseded
from graphs.checkpoint_records import (
    Address,
    StoredCheckpoint,
    StoredWrite,
    TaskWrites,
    as_stored,
    history,
    place,
    strict_serializer,
)
from graphs.checkpoint_values import dump
from graphs.checkpoint_writer import CheckpointWriter, NewCheckpoint
from graphs.projecting import Change, Projection
from tools.database import Database


class DuckDBSaver(ThreadedSaver):
    """Keeps LangGraph's checkpoints in a DuckDB file.

    Each step stores the checkpoint without its values as JSON, and the values of the channels
    that changed: of a long list, only the items that are new to the thread. Safe under threads;
    every change is one transaction. A thread that is written by one saver must not be pruned by
    another one at the same time. Leaving its `with` (or `async with`) block closes the database.
    """

    def __init__(
        self,
        database: Database,
        *,
        serde: SerializerProtocol | None = None,
        projection: Projection | None = None,
    ) -> None:
        """Make the tables if need be.

        Args:
            database: Where to keep checkpoints; may hold other tables.
            serde: Turns values into bytes and back; by default `strict_serializer()`.
            projection: Whose rows are to be committed together with the checkpoints.
        """
        super().__init__(serde=serde or strict_serializer())
        self.database = database
        self.projection = projection
        self._writer = CheckpointWriter(database, projection)
        self.setup()

    @classmethod
    def from_conn_string(
        cls,
        path: str | Path,
        *,
        serde: SerializerProtocol | None = None,
        projection: Projection | None = None,
    ) -> Self:
        """Open a file (or ":memory:") for a `with` or `async with` block."""
        return cls(Database.open(path), serde=serde, projection=projection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.database.close()

    def setup(self) -> None:
        """Make the tables that are missing."""
        with self.database.transaction() as connection:
            for statement in store.DDL:
                connection.execute(statement)

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Count up, and add a random part.

        Two branches of a thread reach the same count with different values, and values are
        stored once for each version: the random part keeps the branches apart. It is not drawn
        from `random`, for a program that seeds that would draw the same part for both.
        """
        count = int(str(current or 0).partition(".")[0]) + 1
        return f"{count:012}.{secrets.token_hex(8)}"

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Get the checkpoint a config names, or the newest of its thread and namespace."""
        thread_id, checkpoint_ns, checkpoint_id = place(config)
        with self.database.transaction() as connection:
            found = store.find(connection, thread_id, checkpoint_ns, checkpoint_id, limit=1)
            loaded = store.load(connection, found)
        return loaded[0].revived(self.serde) if loaded else None

    def begun(self, thread_ids: Iterable[str]) -> set[str]:
        """Those of the threads that have a checkpoint."""
        with self.database.transaction() as connection:
            return {thread_id for thread_id, _ in store.newest(connection, thread_ids)}

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """List checkpoints, newest first, as they were at the first step of the iteration.

        Args:
            config: The thread, and the namespace and id if it has them; None means all threads.
            filter: Metadata that must all be equal.
            before: A config whose checkpoint id bounds the ids, exclusive.
            limit: How many to return at most.

        Yields:
            Checkpoints, read together and revived one by one.
        """
        given: Mapping[str, Any] = config.get("configurable", {}) if config else {}
        thread_id = given.get("thread_id")
        with self.database.transaction() as connection:
            found = store.find(
                connection,
                None if thread_id is None else str(thread_id),
                given.get("checkpoint_ns"),
                given.get("checkpoint_id") or None,
                before=get_checkpoint_id(before) if before else None,
                limit=None if filter else limit,
            )
            if filter:
                wanted = as_stored(filter).items()
                found = [c for c in found if all(c.metadata.get(k) == v for k, v in wanted)]
            loaded = store.load(connection, found[:limit])
        for stored in loaded:
            yield stored.revived(self.serde)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint and the channels in `new_versions`; the config names its parent."""
        thread_id, checkpoint_ns, parent_id = place(config)
        values = checkpoint["channel_values"]
        stored = StoredCheckpoint(
            Address(thread_id, checkpoint_ns, checkpoint["id"]),
            parent_id,
            {key: part for key, part in checkpoint.items() if key != "channel_values"},
            get_serializable_checkpoint_metadata(config, metadata),
            # A channel emptied by this step has a new version and no value: nothing is stored.
            {c: dump(values[c], self.serde) for c in new_versions if c in values},
        )
        before: Mapping[str, Any] = {}
        if self.projection and parent_id and checkpoint_ns == "":
            before = self._values(thread_id, parent_id)
        self._writer.put(NewCheckpoint(stored, before, values))
        return stored.address.config()

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task wrote, before the checkpoint that will contain it."""
        thread_id, checkpoint_ns, checkpoint_id = place(config)
        address = Address(thread_id, checkpoint_ns, checkpoint_id or "")
        rows = {
            (idx := WRITES_IDX_MAP.get(channel, position)): StoredWrite(
                task_id, task_path, idx, channel, dump(value, self.serde)
            )
            for position, (channel, value) in enumerate(writes)
        }
        self._writer.put_writes(TaskWrites(address, task_id, tuple(rows.values())))

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints and rows."""
        with self.database.transaction() as connection:
            self._forget(connection, thread_id)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that runs made; rows are rebuilt from what is left.

        A `DeltaChannel` whose later steps survive loses what these runs added to it.
        """
        with self.database.transaction() as connection:
            doomed = store.find(connection, run_ids=run_ids)
            for thread_id in {checkpoint.address.thread_id for checkpoint in doomed}:
                own = [c for c in doomed if c.address.thread_id == thread_id]
                self._discard(connection, thread_id, own)
                self._project_again(connection, thread_id)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread's whole history and its rows.

        Raises:
            ValueError: The target thread exists: two histories in one thread would mix.
        """
        with self.database.transaction() as connection:
            if store.find(connection, target_thread_id, limit=1):
                raise ValueError(f"Thread {target_thread_id!r} exists; delete it first.")
            store.copy(connection, source_thread_id, target_thread_id)
            if self.projection:
                self.projection.copy(connection, source_thread_id, target_thread_id)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Shorten the history of threads.

        Args:
            thread_ids: The threads; unknown ones are skipped.
            strategy: "keep_latest" keeps the newest checkpoint of each namespace, and those of its
                ancestors that hold the state of its `DeltaChannel`s. "delete" keeps nothing.

        Raises:
            ValueError: There is no such strategy.
        """
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"No strategy {strategy!r}: choose 'keep_latest' or 'delete'.")
        with self.database.transaction() as connection:
            for thread_id in thread_ids:
                if strategy == "delete":
                    self._forget(connection, thread_id)
                else:
                    self._discard(connection, thread_id, superseded(connection, thread_id))

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Get what the values of delta channels are rebuilt from, read together."""
        with self.database.transaction() as connection:
            target = store.find(connection, *place(config), limit=1)
            line = lineage(connection, target[0], channels) if target else []
        return {channel: history(channel, line, self.serde) for channel in channels}

    def _values(self, thread_id: str, checkpoint_id: str) -> Mapping[str, Any]:
        """The values of a root checkpoint; none if it is not stored."""
        known = self._writer.remembered(thread_id, checkpoint_id)
        if known is not None:
            return known
        found = self.get_tuple(Address(thread_id, "", checkpoint_id).config())
        return found.checkpoint["channel_values"] if found else {}

    def _discard(
        self,
        connection: DuckDBPyConnection,
        thread_id: str,
        doomed: Iterable[StoredCheckpoint],
    ) -> None:
        store.discard(connection, thread_id, doomed)
        self._writer.forget(thread_id)

    def _forget(self, connection: DuckDBPyConnection, thread_id: str) -> None:
        store.delete(connection, thread_id)
        self._writer.forget(thread_id)
        if self.projection:
            self.projection.forget(connection, thread_id)

    def _project_again(self, connection: DuckDBPyConnection, thread_id: str) -> None:
        """Rebuild a thread's rows from its newest checkpoint, if it has one left."""
        if self.projection is None:
            return
        self.projection.forget(connection, thread_id)
        for stored in store.load(connection, store.find(connection, thread_id, "", limit=1)):
            checkpoint = stored.revived(self.serde).checkpoint
            change = Change(thread_id, checkpoint["id"], {}, checkpoint["channel_values"])
            self.projection.project(connection, [change])
