"""The seam between checkpoints and rows: whose rows are committed together with a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from duckdb import DuckDBPyConnection


class Change(NamedTuple):
    """What one checkpoint makes of a thread's values."""

    thread_id: str
    checkpoint_id: str
    before: Mapping[str, Any]
    """By channel: what the thread's rows say now; empty if it has none."""
    after: Mapping[str, Any]
    """By channel: what they are to say; a channel that was emptied is absent."""


class Projection(Protocol):
    """Writes the domain records of checkpoints as rows, in the transaction that stores them.

    The rows of a thread always agree with the newest checkpoint of its root graph: what a method
    raises undoes the change of the checkpoint too. Nodes must not change values in place, for then
    `before` would change along with them. Values of a `DeltaChannel` are not seen, for checkpoints
    hold only its snapshots.
    """

    def project(self, connection: DuckDBPyConnection, changes: Sequence[Change]) -> None:
        """Make the rows agree with what each change has `after`; every thread comes once."""
        ...

    def forget(self, connection: DuckDBPyConnection, thread_id: str) -> None:
        """Delete the rows of a thread: it is deleted, or they are about to be projected anew."""
        ...

    def copy(self, connection: DuckDBPyConnection, source: str, target: str) -> None:
        """Copy the rows of a thread to a thread that has none."""
        ...
