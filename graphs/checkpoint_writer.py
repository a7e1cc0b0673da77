"""Stores what the threads of a run bring at the same time, in one transaction."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from graphs import checkpoint_store as store
from graphs.checkpoint_items import ItemKeeper
from graphs.checkpoint_records import StoredCheckpoint, TaskWrites
from graphs.projecting import Change, Projection
from tools.database import Database
from tools.group_commit import GroupCommit

THREADS_REMEMBERED = 128
"""Threads whose newest values stay in memory; those of any other are read before its next step."""


class NewCheckpoint(NamedTuple):
    """A checkpoint to be stored, and the values of its thread before and after it."""

    stored: StoredCheckpoint
    before: Mapping[str, Any]
    """Those of its parent."""
    after: Mapping[str, Any]

    @property
    def place(self) -> tuple[str, str]:
        """Thread and namespace."""
        return self.stored.address[:2]


class CheckpointWriter:
    """Stores checkpoints and pending writes, all that come together in one transaction."""

    def __init__(self, database: Database, projection: Projection | None) -> None:
        self._database = database
        self._projection = projection
        self._group = GroupCommit(self._commit)
        self._newest: OrderedDict[str, tuple[str, Mapping[str, Any]]] = OrderedDict()
        self._guard = threading.Lock()
        self._keeper = ItemKeeper()

    def remembered(self, thread_id: str, checkpoint_id: str) -> Mapping[str, Any] | None:
        """The values of a thread's root checkpoint that was stored last here; None if unknown."""
        with self._guard:
            known_id, values = self._newest.get(thread_id, (None, None))
        return values if known_id == checkpoint_id else None

    def put(self, checkpoint: NewCheckpoint) -> None:
        """Store a checkpoint with its rows; return when it is committed."""
        self._group.add(checkpoint)
        thread_id, namespace, checkpoint_id = checkpoint.stored.address
        if self._projection and namespace == "":
            with self._guard:
                self._newest[thread_id] = checkpoint_id, checkpoint.after
                self._newest.move_to_end(thread_id)
                if len(self._newest) > THREADS_REMEMBERED:
                    self._newest.popitem(last=False)

    def put_writes(self, writes: TaskWrites) -> None:
        """Store what a task wrote; return when it is committed, mostly with the next checkpoint."""
        self._group.add(writes, urgent=False)

    def forget(self, thread_id: str) -> None:
        """Hear, within a transaction, that something of a thread was deleted."""
        self._keeper.forget(thread_id)

    def _commit(self, changes: Sequence[NewCheckpoint | TaskWrites]) -> None:
        try:
            with self._database.transaction() as connection:
                for wave in _waves(changes):
                    self._store(connection, wave)
        except BaseException:
            self._keeper.clear()
            raise

    def _store(
        self, connection: DuckDBPyConnection, wave: Sequence[NewCheckpoint | TaskWrites]
    ) -> None:
        checkpoints = [change for change in wave if isinstance(change, NewCheckpoint)]
        writes = [change for change in wave if isinstance(change, TaskWrites)]
        if checkpoints:
            self._save(connection, checkpoints)
        if writes:
            store.save_writes(connection, self._keeper, writes)

    def _save(self, connection: DuckDBPyConnection, new: Sequence[NewCheckpoint]) -> None:
        newest = store.newest(connection, {checkpoint.place[0] for checkpoint in new})
        if self._projection:
            self._project(connection, self._projection, new, newest)
        stored = [checkpoint.stored for checkpoint in new]
        store.save(
            connection,
            self._keeper,
            stored,
            replaced=[
                each
                for each in stored
                if newest.get(each.address[:2], "") >= each.address.checkpoint_id
            ],
        )

    def _project(
        self,
        connection: DuckDBPyConnection,
        projection: Projection,
        new: Sequence[NewCheckpoint],
        newest: Mapping[tuple[str, str], str],
    ) -> None:
        changes: list[Change] = []
        for stored, before, after in new:
            thread_id, namespace, checkpoint_id = stored.address
            if namespace != "":
                continue
            last = newest.get((thread_id, ""))
            if last != stored.parent_id:
                before = {}
                if last is not None:
                    # A new branch: the rows are those of the branch it leaves behind.
                    projection.forget(connection, thread_id)
            changes.append(Change(thread_id, checkpoint_id, before, after))
        projection.project(connection, changes)


def _waves(
    changes: Iterable[NewCheckpoint | TaskWrites],
) -> Iterator[Sequence[NewCheckpoint | TaskWrites]]:
    """Split, in order, so that no two changes of a wave are about the same thing."""
    wave: list[NewCheckpoint | TaskWrites] = []
    things: set[Hashable] = set()
    for change in changes:
        thing = change.place if isinstance(change, NewCheckpoint) else change[:2]
        if thing in things:
            yield wave
            wave, things = [], set()
        wave.append(change)
        things.add(thing)
    yield wave
