"""Where a checkpoint comes from, and which of its ancestors its state still rests on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from duckdb import DuckDBPyConnection

from graphs.checkpoint_records import StoredCheckpoint
from graphs.checkpoint_store import find, load

_BATCH = 100
"""Ancestors loaded at once; LangGraph's default number of updates between two snapshots."""


def lineage(
    connection: DuckDBPyConnection, checkpoint: StoredCheckpoint, channels: Collection[str]
) -> list[StoredCheckpoint]:
    """Load the ancestors that a `DeltaChannel`'s value is rebuilt from, parent first.

    A delta channel is stored as the writes since its last snapshot, so the line goes back to where
    each of the channels has a value, or to the thread's first checkpoint.
    """
    line = _ancestors(connection, checkpoint)
    missing = set(channels)
    needed: list[StoredCheckpoint] = []
    for start in range(0, len(line), _BATCH):
        for ancestor in load(connection, line[start : start + _BATCH], channels):
            if not missing:
                return needed
            needed.append(ancestor)
            missing -= ancestor.values.keys()
    return needed


def superseded(connection: DuckDBPyConnection, thread_id: str) -> list[StoredCheckpoint]:
    """The checkpoints of a thread without which the newest of each namespace is still whole."""
    found = find(connection, thread_id)
    newest: dict[str, StoredCheckpoint] = {}
    delta_channels: defaultdict[str, set[str]] = defaultdict(set)
    for checkpoint in found:
        namespace = checkpoint.address.checkpoint_ns
        newest.setdefault(namespace, checkpoint)
        # The only trace of a delta channel that a saver sees. Older checkpoints count too: a
        # channel that has become an ordinary one may have no value of its own yet.
        delta_channels[namespace].update(
            checkpoint.metadata.get("counters_since_delta_snapshot") or ()
        )
    kept = {checkpoint.address for checkpoint in newest.values()}
    for namespace, checkpoint in newest.items():
        channels = delta_channels[namespace] & checkpoint.versions.keys()
        channels -= load(connection, [checkpoint], channels)[0].values.keys()
        kept |= {ancestor.address for ancestor in lineage(connection, checkpoint, channels)}
    return [checkpoint for checkpoint in found if checkpoint.address not in kept]


def _ancestors(
    connection: DuckDBPyConnection, checkpoint: StoredCheckpoint
) -> list[StoredCheckpoint]:
    found = find(connection, *checkpoint.address[:2])
    by_id = {each.address.checkpoint_id: each for each in found}
    line: list[StoredCheckpoint] = []
    parent = by_id.get(checkpoint.parent_id or "")
    while parent is not None:
        line.append(parent)
        parent = by_id.get(parent.parent_id or "")
    return line
