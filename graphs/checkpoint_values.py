"""The values of channels, serialised: a long list item by item, that each item is stored once.

A step adds a few records to a list or alters a few; stored whole, the list would be stored again
with every step, and a thread would take room by the square of its steps.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple, cast

from langgraph.checkpoint.serde.base import SerializerProtocol

Typed = tuple[str, bytes]
"""A serialised value: the serializer's name for the format, and the bytes."""

SHORT = 512
"""A list of fewer bytes is stored whole: its items would take more room than they save."""

DIGEST_BYTES = 12
"""Enough that two different items of one thread will not share a digest."""


class Item(NamedTuple):
    """One item of a list, serialised."""

    digest: bytes
    """Names its content."""
    typed: Typed


class ItemList(NamedTuple):
    """A list, serialised item by item."""

    items: tuple[Item, ...]


Stored = Typed | ItemList
"""A serialised value in either form."""


def dump(value: object, serde: SerializerProtocol) -> Stored:
    """Serialise a value.

    Raises:
        TypeError: the serializer knows no form for it.
    """
    if type(value) is list:
        parts = [serde.dumps_typed(part) for part in cast("list[object]", value)]
        if sum(len(data) for _, data in parts) >= SHORT:
            return ItemList(tuple(Item(digest_of(part), part) for part in parts))
    return serde.dumps_typed(value)


def revive(stored: Stored, serde: SerializerProtocol) -> Any:
    """The value that was serialised."""
    if isinstance(stored, ItemList):
        return [serde.loads_typed(item.typed) for item in stored.items]
    return serde.loads_typed(stored)


def digest_of(typed: Typed) -> bytes:
    """The digest that names this content."""
    kind, data = typed
    return blake2b(data, digest_size=DIGEST_BYTES, key=kind.encode()[:64]).digest()
