"""The items of lists in a table of their own: each once for its thread, lists refer to them.

The references of a long list are put on pages, which are items too: else they alone would take room
by the square of a thread's steps. Every function runs inside the caller's transaction.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from duckdb import DuckDBPyConnection

from graphs.checkpoint_values import DIGEST_BYTES, Item, ItemList, Stored, Typed, digest_of
from tools.database import insert

ITEMS_DDL = """CREATE TABLE IF NOT EXISTS checkpoint_items (
    thread_id VARCHAR NOT NULL,
    digest BLOB NOT NULL,
    type VARCHAR NOT NULL,
    value BLOB NOT NULL)"""

REFERENCES = "items"
"""The `type` of a value that is the digests of a list's items, end to end."""

PAGES = "pages"
"""The `type` of a value that is the digests of items of type `REFERENCES`, end to end."""

PAGE_ITEMS = 16
"""References on a page."""

THREADS_REMEMBERED = 128
"""Threads whose items are known by heart; those of any other are looked up first."""

Items = Mapping[tuple[str, bytes], Item]
"""Items by thread and digest."""


class ItemKeeper:
    """Stores items that are not stored yet.

    Remembers what is; so `forget` must hear of every thread of which something was deleted, and
    `clear` of every transaction that came to nothing.
    """

    def __init__(self) -> None:
        self._stored: OrderedDict[str, set[bytes]] = OrderedDict()

    def keep(self, connection: DuckDBPyConnection, values: Iterable[tuple[str, Stored]]) -> None:
        """Store the items of the lists among the values, given with their threads."""
        wanted = {
            (thread_id, item.digest): item.typed
            for thread_id, value in values
            if isinstance(value, ItemList)
            for item in (*value.items, *_pages(value))
        }
        if not wanted:
            return
        self._recall(connection, list({thread_id for thread_id, _ in wanted}))
        new = [key for key in wanted if key[1] not in self._stored[key[0]]]
        insert(connection, "checkpoint_items", [(*key, *wanted[key]) for key in new])
        for thread_id, digest in new:
            self._stored[thread_id].add(digest)
        while len(self._stored) > THREADS_REMEMBERED:
            self._stored.popitem(last=False)

    def forget(self, thread_id: str) -> None:
        """Look the items of this thread up before the next is stored."""
        self._stored.pop(thread_id, None)

    def clear(self) -> None:
        """Forget every thread."""
        self._stored.clear()

    def _recall(self, connection: DuckDBPyConnection, threads: Sequence[str]) -> None:
        unknown = [thread_id for thread_id in threads if thread_id not in self._stored]
        self._stored |= {thread_id: set() for thread_id in unknown}
        for thread_id in threads:
            self._stored.move_to_end(thread_id)
        if unknown:
            found = connection.execute(
                "SELECT thread_id, digest FROM checkpoint_items WHERE thread_id = ANY(?)",
                [unknown],
            )
            for thread_id, digest in found.fetchall():
                self._stored[thread_id].add(digest)


def referring(value: Stored) -> Typed:
    """What is stored in the place of a value: itself, or references to its items."""
    if not isinstance(value, ItemList):
        return value
    if pages := _pages(value):
        return PAGES, _joined(pages)
    return REFERENCES, _joined(value.items)


def fetch(connection: DuckDBPyConnection, threads: Sequence[str], values: Sequence[Typed]) -> Items:
    """Find the items that the values refer to, and the pages that they do so on."""
    pages = _find(connection, threads, _digests(PAGES, values))
    lists = (*values, *(page.typed for page in pages.values()))
    return pages | _find(connection, threads, _digests(REFERENCES, lists))


def resolved(thread_id: str, value: Typed, items: Items) -> Stored:
    """The value with its items in the place of references to them."""
    if value[0] not in (REFERENCES, PAGES):
        return value
    pages = [items[thread_id, digest].typed for digest in _digests(PAGES, [value])]
    digests = _digests(REFERENCES, pages or [value])
    return ItemList(tuple(items[thread_id, digest] for digest in digests))


def sweep(connection: DuckDBPyConnection, thread_id: str) -> None:
    """Delete the items of a thread that nothing refers to any more."""
    found = connection.execute(
        "SELECT type, value FROM checkpoint_blobs WHERE thread_id = $thread_id "
        "AND type = ANY($types) UNION ALL SELECT type, value FROM checkpoint_writes "
        "WHERE thread_id = $thread_id AND type = ANY($types)",
        {"thread_id": thread_id, "types": [REFERENCES, PAGES]},
    )
    kept = [digest for _, digest in fetch(connection, [thread_id], found.fetchall())]
    connection.execute(
        "DELETE FROM checkpoint_items WHERE thread_id = ? "
        "AND digest NOT IN (SELECT unnest(?::BLOB[]))",
        [thread_id, kept],
    )


def _pages(value: ItemList) -> list[Item]:
    """The pages of a list that takes more than one."""
    items = value.items
    if len(items) <= PAGE_ITEMS:
        return []
    starts = range(0, len(items), PAGE_ITEMS)
    pages = [(REFERENCES, _joined(items[start : start + PAGE_ITEMS])) for start in starts]
    return [Item(digest_of(page), page) for page in pages]


def _find(
    connection: DuckDBPyConnection, threads: Sequence[str], digests: Iterable[bytes]
) -> dict[tuple[str, bytes], Item]:
    wanted = list(set(digests))
    if not wanted:
        return {}
    found = connection.execute(
        "SELECT thread_id, digest, type, value FROM checkpoint_items "
        "WHERE thread_id = ANY(?) AND digest IN (SELECT unnest(?))",
        [threads, wanted],
    )
    return {
        (thread_id, digest): Item(digest, (kind, data))
        for thread_id, digest, kind, data in found.fetchall()
    }


def _joined(items: Iterable[Item]) -> bytes:
    return b"".join(item.digest for item in items)


def _digests(kind: str, values: Iterable[Typed]) -> list[bytes]:
    """What the values of this type refer to, in their order."""
    return [
        data[start : start + DIGEST_BYTES]
        for type_, data in values
        if type_ == kind
        for start in range(0, len(data), DIGEST_BYTES)
    ]
