"""Checkpoints as rows: the tables and every SQL statement of the DuckDB checkpointer.

Each function runs inside the caller's transaction. The tables have no keys and no indexes: every
writer holds the lock of `tools.database`, so checking first and inserting then is safe, whereas
DuckDB's indexes can refuse a transaction that deletes a row and inserts it again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from duckdb import DuckDBPyConnection

from graphs.checkpoint_items import ITEMS_DDL, ItemKeeper, fetch, referring, resolved, sweep
from graphs.checkpoint_records import Address, StoredCheckpoint, StoredWrite, TaskWrites, to_json
from graphs.checkpoint_values import Stored
from tools.database import insert

DDL = (
    """CREATE TABLE IF NOT EXISTS checkpoints (
        thread_id VARCHAR NOT NULL,
        checkpoint_ns VARCHAR NOT NULL,
        checkpoint_id VARCHAR NOT NULL,
        parent_checkpoint_id VARCHAR,
        checkpoint JSON NOT NULL,
        metadata JSON NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS checkpoint_blobs (
        thread_id VARCHAR NOT NULL,
        checkpoint_ns VARCHAR NOT NULL,
        channel VARCHAR NOT NULL,
        version VARCHAR NOT NULL,
        type VARCHAR NOT NULL,
        value BLOB NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS checkpoint_writes (
        thread_id VARCHAR NOT NULL,
        checkpoint_ns VARCHAR NOT NULL,
        checkpoint_id VARCHAR NOT NULL,
        task_id VARCHAR NOT NULL,
        task_path VARCHAR NOT NULL,
        idx INTEGER NOT NULL,
        channel VARCHAR NOT NULL,
        type VARCHAR NOT NULL,
        value BLOB NOT NULL)""",
    ITEMS_DDL,
)
"""The tables: checkpoints without their values, values by channel and version, pending writes, and
the items of long lists that values and writes refer to."""

_TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes", "checkpoint_items")

_AT = "thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"

_AMONG = "thread_id = ? AND checkpoint_ns = ? AND checkpoint_id IN (SELECT unnest(?))"


def newest(connection: DuckDBPyConnection, threads: Iterable[str]) -> dict[tuple[str, str], str]:
    """The id of the newest checkpoint by thread and namespace; without those that have none."""
    wanted = list(threads)
    if not wanted:
        return {}
    found = connection.execute(
        "SELECT thread_id, checkpoint_ns, max(checkpoint_id) FROM checkpoints "
        f"WHERE thread_id {_one_of(wanted)} GROUP BY ALL",
        wanted,
    )
    return {(thread_id, namespace): id for thread_id, namespace, id in found.fetchall()}


def _one_of(values: Sequence[str]) -> str:
    """What stands behind a column for one of a few values, planned in half the time of an ANY."""
    return f"IN ({', '.join('?' * len(values))})"


def save(
    connection: DuckDBPyConnection,
    keeper: ItemKeeper,
    checkpoints: Sequence[StoredCheckpoint],
    replaced: Iterable[StoredCheckpoint],
) -> None:
    """Store checkpoints and their changed values.

    Args:
        connection: Inside a transaction.
        keeper: Stores the items of lists.
        checkpoints: Each of another thread or namespace.
        replaced: Those among them of which an earlier one of the same id may be stored.
    """
    for checkpoint in replaced:
        _unsave(connection, checkpoint)
    heads = [
        (*each.address, each.parent_id, to_json(each.skeleton), to_json(each.metadata))
        for each in checkpoints
    ]
    insert(connection, "checkpoints", heads)
    keeper.keep(
        connection,
        [(each.address.thread_id, value) for each in checkpoints for value in each.values.values()],
    )
    blobs = [
        (*each.address[:2], channel, version, *referring(each.values[channel]))
        for each in checkpoints
        for channel, version in _keys(each)
    ]
    insert(connection, "checkpoint_blobs", blobs)


def _unsave(connection: DuckDBPyConnection, checkpoint: StoredCheckpoint) -> None:
    deleted = connection.execute(f"DELETE FROM checkpoints WHERE {_AT}", checkpoint.address)
    if deleted.fetchall() != [(0,)]:
        for channel, version in _keys(checkpoint):
            connection.execute(
                "DELETE FROM checkpoint_blobs WHERE thread_id = ? AND checkpoint_ns = ? "
                "AND channel = ? AND version = ?",
                [*checkpoint.address[:2], channel, version],
            )


def _keys(checkpoint: StoredCheckpoint) -> list[tuple[str, str]]:
    versions = checkpoint.versions
    return [(channel, versions[channel]) for channel in checkpoint.values]


def save_writes(
    connection: DuckDBPyConnection, keeper: ItemKeeper, tasks: Sequence[TaskWrites]
) -> None:
    """Store the writes of tasks, all different: what one saved before stands, `idx < 0` does not.

    A task that runs again after a crash must not change results that were already saved; its
    errors, interrupts and resume values (LangGraph numbers those below zero) must be the latest.
    """
    ids = [task.address.checkpoint_id for task in tasks]
    found = connection.execute(
        "SELECT thread_id, checkpoint_ns, checkpoint_id, task_id, idx FROM checkpoint_writes "
        f"WHERE checkpoint_id {_one_of(ids)}",
        ids,
    )
    saved = set(found.fetchall())
    rows: list[tuple[object, ...]] = []
    values: list[tuple[str, Stored]] = []
    for address, task_id, writes in tasks:
        place = (*address, task_id)
        kept = [write for write in writes if write.idx < 0 or (*place, write.idx) not in saved]
        if replaced := [write.idx for write in kept if (*place, write.idx) in saved]:
            connection.execute(
                f"DELETE FROM checkpoint_writes WHERE {_AT} AND task_id = ? AND idx = ANY(?)",
                [*place, replaced],
            )
        rows += [(*address, *write[:-1], *referring(write.value)) for write in kept]
        values += [(address.thread_id, write.value) for write in kept]
    keeper.keep(connection, values)
    insert(connection, "checkpoint_writes", rows)


def find(
    connection: DuckDBPyConnection,
    thread_id: str | None = None,
    checkpoint_ns: str | None = None,
    checkpoint_id: str | None = None,
    *,
    before: str | None = None,
    run_ids: Sequence[str] | None = None,
    limit: int | None = None,
) -> list[StoredCheckpoint]:
    """Find checkpoints, newest first, without values and writes; None means any."""
    conditions: dict[str, str | Sequence[str] | None] = {
        "thread_id = ?": thread_id,
        "checkpoint_ns = ?": checkpoint_ns,
        "checkpoint_id = ?": checkpoint_id,
        "checkpoint_id < ?": before,
        "metadata ->> 'run_id' IN (SELECT unnest(?))": run_ids,
    }
    given = {sql: value for sql, value in conditions.items() if value is not None}
    found = connection.execute(
        f"SELECT * FROM checkpoints WHERE {' AND '.join(given) or 'true'} "
        "ORDER BY checkpoint_id DESC LIMIT ?",
        [*given.values(), limit],
    )
    return [
        StoredCheckpoint(Address(*row[:3]), row[3], json.loads(row[4]), json.loads(row[5]))
        for row in found.fetchall()
    ]


def load(
    connection: DuckDBPyConnection,
    checkpoints: Sequence[StoredCheckpoint],
    channels: Collection[str] | None = None,
) -> list[StoredCheckpoint]:
    """Add the values and writes, of all channels or of those named, in a few statements."""
    if not checkpoints:
        return []
    threads = list({checkpoint.address.thread_id for checkpoint in checkpoints})
    versions = list({v for checkpoint in checkpoints for v in checkpoint.versions.values()})
    ids = [checkpoint.address.checkpoint_id for checkpoint in checkpoints]
    wanted, names = ("", []) if channels is None else ("AND channel = ANY(?)", [list(channels)])
    found = connection.execute(
        "SELECT * FROM checkpoint_blobs WHERE thread_id = ANY(?) "
        f"AND version IN (SELECT unnest(?)) {wanted}",
        [threads, versions, *names],
    )
    blobs = {row[:4]: row[4:] for row in found.fetchall()}
    found = connection.execute(
        "SELECT * FROM checkpoint_writes WHERE thread_id = ANY(?) "
        f"AND checkpoint_id IN (SELECT unnest(?)) {wanted} ORDER BY task_path, task_id, idx",
        [threads, ids, *names],
    )
    written = found.fetchall()
    items = fetch(connection, threads, [*blobs.values(), *(row[7:] for row in written)])
    writes: defaultdict[Address, list[StoredWrite]] = defaultdict(list)
    for row in written:
        value = resolved(row[0], row[7:], items)
        writes[Address(*row[:3])].append(StoredWrite(*row[3:7], value=value))
    return [
        replace(
            checkpoint,
            values={
                channel: resolved(key[0], blobs[key], items)
                for channel, version in checkpoint.versions.items()
                if (key := (*checkpoint.address[:2], channel, version)) in blobs
            },
            writes=writes[checkpoint.address],
        )
        for checkpoint in checkpoints
    ]


def discard(
    connection: DuckDBPyConnection, thread_id: str, doomed: Iterable[StoredCheckpoint]
) -> None:
    """Delete checkpoints of one thread, their writes, and the values nobody refers to any more."""
    by_namespace: defaultdict[str, list[str]] = defaultdict(list)
    for checkpoint in doomed:
        by_namespace[checkpoint.address.checkpoint_ns].append(checkpoint.address.checkpoint_id)
    for checkpoint_ns, ids in by_namespace.items():
        for table in ("checkpoints", "checkpoint_writes"):
            connection.execute(
                f"DELETE FROM {table} WHERE {_AMONG}", [thread_id, checkpoint_ns, ids]
            )
    connection.execute(
        """DELETE FROM checkpoint_blobs
        WHERE thread_id = $thread_id AND (checkpoint_ns, channel, version) NOT IN (
            SELECT checkpoint_ns, unnest(map_keys(versions)), unnest(map_values(versions))
            FROM (
                SELECT checkpoint_ns,
                    (checkpoint -> 'channel_versions')::MAP(VARCHAR, VARCHAR) AS versions
                FROM checkpoints WHERE thread_id = $thread_id))""",
        {"thread_id": thread_id},
    )
    sweep(connection, thread_id)


def delete(connection: DuckDBPyConnection, thread_id: str) -> None:
    """Delete everything of a thread."""
    for table in _TABLES:
        connection.execute(f"DELETE FROM {table} WHERE thread_id = ?", [thread_id])


def copy(connection: DuckDBPyConnection, source: str, target: str) -> None:
    """Copy everything of a thread to another one."""
    for table in _TABLES:
        connection.execute(
            f"INSERT INTO {table} SELECT * REPLACE (? AS thread_id) FROM {table} "
            "WHERE thread_id = ?",
            [target, source],
        )
