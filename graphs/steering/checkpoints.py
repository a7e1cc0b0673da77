"""Checkpoints as the user names them; light enough for the commands that only read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from graphs.projection import split_thread
from tools.database import Database
from tools.errors import CheckpointNotFound


class Placed(NamedTuple):
    """A checkpoint among those of its thread."""

    step: int
    """From 1."""
    checkpoint: str
    parent: str | None
    node: str | None
    """The node whose work it stores; None for the first one."""


def placed(database: Database, thread: str) -> list[Placed]:
    """The checkpoints of a thread that the user may name, oldest first."""
    rows = database.rows(
        "SELECT checkpoint_id, parent_checkpoint_id, checkpoint -> 'versions_seen' "
        "FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = '' ORDER BY checkpoint_id",
        [thread],
    )
    begun = "SELECT DISTINCT checkpoint_id FROM feature_log WHERE thread_id = ?"
    named = {id for (id,) in database.rows(begun, [thread])}
    seen: dict[str, Mapping[str, Any]] = {id: json.loads(text) for id, _, text in rows}
    found = [(id, parent) for id, parent, _ in rows if id in named]
    return [
        Placed(step, id, parent if parent in named else None, _node(seen[id], seen.get(parent, {})))
        for step, (id, parent) in enumerate(found, 1)
    ]


def find_checkpoint(database: Database, thread: str, at: str | None) -> str:
    """The checkpoint that the user means.

    Args:
        database: Has the thread.
        thread: `<run>/<feature>`.
        at: A step of the history, an id or the beginning of one; None for the newest.

    Raises:
        CheckpointNotFound: there is none, or `at` may mean several.
    """
    known = placed(database, thread)
    _, feature = split_thread(thread)
    if not known:
        raise CheckpointNotFound(f"feature {feature} has no checkpoint yet; explain it first.")
    if at is None:
        return known[-1].checkpoint
    meant = [p for p in known if str(p.step) == at or p.checkpoint == at]
    meant = meant or [p for p in known if at and p.checkpoint.startswith(at)]
    if len(meant) != 1:
        raise CheckpointNotFound(
            f"feature {feature} has {'several checkpoints' if meant else 'no checkpoint'} {at!r}; "
            f"`saesage history` lists them: steps 1 to {known[-1].step}."
        )
    return meant[0].checkpoint


def _node(seen: Mapping[str, Any], before: Mapping[str, Any]) -> str | None:
    """The node that saw something new between two checkpoints."""
    ran = (node for node in seen if seen[node] != before.get(node))
    return next((node for node in ran if not node.startswith("__")), None)
