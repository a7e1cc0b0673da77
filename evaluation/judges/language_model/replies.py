"""The shape of each of the judge's replies: what its schema demands, and what is read from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from tools.errors import UnusableReply

STRONGEST = 10
"""Highest predicted activation."""
YES = 1
"""Highest of no (0) and yes."""
CLEARLY = 2
"""Highest rating."""

Activation: TypeAlias = Annotated[
    int, Field(ge=0, le=STRONGEST, json_schema_extra={"enum": list(range(STRONGEST + 1))})
]
Decision: TypeAlias = Annotated[
    int, Field(ge=0, le=YES, json_schema_extra={"enum": list(range(YES + 1))})
]
Rating: TypeAlias = Annotated[
    int, Field(ge=0, le=CLEARLY, json_schema_extra={"enum": list(range(CLEARLY + 1))})
]


class JudgeReply(BaseModel):
    """What a judge answers."""

    model_config = ConfigDict(frozen=True)


class SimulatorReply(JudgeReply):
    """A number for each token."""

    activations: list[Activation]


class TokenReply(JudgeReply):
    """A number for one token."""

    activation: Activation


class DetectorReply(JudgeReply):
    """Whether each text fires."""

    fires: list[Decision]


class FuzzerReply(JudgeReply):
    """Whether the marks of each text are right."""

    right: list[Decision]


class PickerReply(JudgeReply):
    """Numbers of the texts that fire."""

    active: list[int]


class RaterReply(JudgeReply):
    """How far each text shows what is described."""

    ratings: list[Rating]


class WriterReply(JudgeReply):
    """New texts."""

    texts: list[str]


def one_for_each(numbers: Sequence[int], wanted: int, field: str, block: str) -> tuple[int, ...]:
    """The numbers, if there are as many as lines in a block.

    Raises:
        UnusableReply: there are more or fewer.
    """
    if len(numbers) != wanted:
        raise UnusableReply(
            f"{field} has {len(numbers)} numbers, and the block `{block}` has {wanted} lines: "
            "give exactly one number for each line, in their order"
        )
    return tuple(numbers)


def picked(reply: PickerReply, shown: int) -> frozenset[int]:
    """The texts that are said to fire, by index from 0.

    Raises:
        UnusableReply: a number is none of theirs.
    """
    strangers = sorted(number for number in set(reply.active) if not 1 <= number <= shown)
    if strangers:
        raise UnusableReply(f"there is no text {strangers[0]}; they are numbered 1 to {shown}")
    return frozenset(number - 1 for number in reply.active)


def different(reply: WriterReply, wanted: int, last: bool) -> tuple[str, ...]:
    """The texts without empty and repeated ones; fewer than wanted if it is not asked again.

    Raises:
        UnusableReply: there are too few, or at the last try none.
    """
    texts = list(dict.fromkeys(text.strip() for text in reply.texts if text.strip()))[:wanted]
    if not texts or (len(texts) < wanted and not last):
        raise UnusableReply(f"it has {len(texts)} different texts where {wanted} are asked for")
    return tuple(texts)
