"""What happened to a feature, checkpoint by checkpoint."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from graphs.projection import split_thread
from graphs.records import ForkedFrom
from graphs.runs import RunStore
from graphs.steering.checkpoints import Placed, placed
from graphs.steering.wording import in_words
from tools.database import Database
from tools.errors import CheckpointNotFound

Row = dict[str, Any]
ByCheckpoint = Mapping[str, Sequence[Row]]

_COLUMNS = {
    "feature": "status, round, stopped, recorded_at, n_tokens, n_active_tokens",
    "hypotheses": "id, status, parent",
    "experiments": "hypothesis",
    "observations": "supports",
    "explanations": "description",
}
"""What is read of each log."""
_HELD = {True: "as predicted", False: "against it", None: "unclear"}
_ENDS = {
    "waiting": "waits for review",
    "rejected": "rejected by the user",
    "dead": "never fires on the corpus",
    "too_rare": "fires too seldom to be explained",
}


class HistoryEntry(NamedTuple):
    """One checkpoint."""

    step: int
    """From 1; as good a name of the checkpoint as its id."""
    checkpoint: str
    parent: str | None
    node: str | None
    """The node whose work it stores; None for the first one."""
    round: int
    status: str
    when: datetime
    """UTC."""
    changes: tuple[str, ...]
    """What it changed, a phrase each."""


def history(database: Database, thread: str) -> tuple[HistoryEntry, ...]:
    """The checkpoints of a thread, oldest first.

    Raises:
        RunNotFound: there is no such run.
        CheckpointNotFound: the feature has none yet.
    """
    run_name, feature = split_thread(thread)
    origin = RunStore(database).named(run_name).forked_from
    found = placed(database, thread)
    if not found:
        raise CheckpointNotFound(
            f"feature {feature} of run {run_name} has no checkpoint yet; explain it first."
        )
    logs = {name: _log(database, name, columns, thread) for name, columns in _COLUMNS.items()}
    statuses: dict[str, str] = {}
    return tuple(_entry(each, logs, statuses, origin) for each in found)


def _log(database: Database, name: str, columns: str, thread: str) -> ByCheckpoint:
    rows = database.records(
        f"SELECT checkpoint_id, {columns} FROM {name}_log WHERE thread_id = ?", [thread]
    )
    grouped: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.pop("checkpoint_id")].append(row)
    return grouped


def _entry(
    each: Placed,
    logs: Mapping[str, ByCheckpoint],
    statuses: dict[str, str],
    origin: ForkedFrom | None,
) -> HistoryEntry:
    """The entry of a checkpoint; `statuses` are the hypotheses' before it, and then after it."""
    rows = {name: log.get(each.checkpoint, ()) for name, log in logs.items()}
    progress = rows["feature"][-1]
    changes = [
        *_hypotheses(rows["hypotheses"], statuses),
        *_experiments(rows["experiments"]),
        *_observations(rows["observations"]),
    ]
    if each.parent is None:
        changes = ["begun"] if origin is None else _origin(origin)
    if each.node == "gather_exemplars":
        changes.append(
            f"fires on {progress['n_active_tokens']:,} of {progress['n_tokens']:,} corpus tokens"
        )
    if progress["status"] in _ENDS:
        changes.append(_ENDS[progress["status"]])
    changes += [f"{progress['status']}: {row['description']}" for row in rows["explanations"]]
    if progress["stopped"]:
        changes.append(f"stopped: {progress['stopped']}")
    return HistoryEntry(
        step=each.step,
        checkpoint=each.checkpoint,
        parent=each.parent,
        node=each.node,
        round=progress["round"],
        status=progress["status"],
        when=progress["recorded_at"],
        changes=tuple(changes),
    )


def _origin(origin: ForkedFrom) -> list[str]:
    return [f"forked off {origin.thread}", *origin.settings, *in_words(origin.edits)]


def _hypotheses(rows: Sequence[Row], statuses: dict[str, str]) -> list[str]:
    rows = sorted(rows, key=lambda row: int(row["id"][1:]))
    new = [row for row in rows if row["id"] not in statuses]
    plain = [row["id"] for row in new if row["parent"] is None]
    changed: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row["id"] in statuses and statuses[row["id"]] != row["status"]:
            changed[row["status"]].append(row["id"])
    statuses.update((row["id"], row["status"]) for row in rows)
    return [
        *([f"{', '.join(plain)} proposed"] if plain else []),
        *(f"{row['id']} refines {row['parent']}" for row in new if row["parent"] is not None),
        *(f"{', '.join(ids)} {status}" for status, ids in changed.items()),
    ]


def _experiments(rows: Sequence[Row]) -> list[str]:
    of = sorted({row["hypothesis"] for row in rows}, key=lambda id: int(id[1:]))
    return [f"{_texts(len(rows))} designed for {', '.join(of)}"] if rows else []


def _observations(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    counts = Counter(row["supports"] for row in rows)
    parts = [f"{counts[held]} {words}" for held, words in _HELD.items() if counts[held]]
    return [f"{_texts(len(rows))} measured: {', '.join(parts)}"]


def _texts(number: int) -> str:
    return f"{number} text{'' if number == 1 else 's'}"
