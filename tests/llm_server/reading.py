"""What a request to the test server says: the role, the reply's schema and the prompt's data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

_BLOCK = re.compile(r'<data name="([^"]+)">\n(.*?)\n?</data>', re.DOTALL)
_MARK = re.compile(r"«([^«»]*)»(\d{1,3})\u2009?")
"""A thin space keeps the number from digits of the text."""


class Unreadable(ValueError):
    """The request does not ask for a structured reply."""


class Row(BaseModel):
    """One line of a data block; keys that the scientist does not know are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TokenRow(Row):
    """A line of the token table; `mean` is a share of the scale, the others lie in [0, 1] too."""

    token: str
    share: float = 0.0
    mean: float = 0.0
    fires: float = 0.0
    on: str = ""
    """A context up to the token, where it fires."""

    @property
    def strength(self) -> float:
        """Expected activation of an occurrence, as a share of the scale in [0, 1]."""
        return min(1.0, max(0.0, self.mean * self.fires))


class ExemplarRow(Row):
    """A corpus window, marked."""

    band: str = "top"
    max: float = 1.0
    text: str


class HypothesisRow(Row):
    """A hypothesis with its verdict so far."""

    id: str
    polarity: str = "active"
    status: str = "pending"
    statement: str = ""
    rule: str | None = None
    results: str = ""
    open: bool = True


class ResultRow(Row):
    """One measured text, marked."""

    id: str
    hypothesis: str
    predicted: str = ""
    outcome: str = ""
    max: float | None = None
    text: str = ""


RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True, slots=True)
class Mark:
    """A token that fired, at `start:end` of the text without marks."""

    token: str
    tenths: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A text without its marks, and the marks in order."""

    text: str
    marks: tuple[Mark, ...]

    @property
    def peak(self) -> Mark | None:
        """The strongest mark, the first of equals."""
        return max(self.marks, key=lambda mark: mark.tenths, default=None)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A request as the scientist sees it."""

    role: str
    """Name of the reply's class."""
    schema: Mapping[str, Any]
    instructions: str
    """What system and user message say outside of the data."""
    blocks: Mapping[str, Sequence[Mapping[str, Any]]]
    """Every data block's lines, as they were sent."""
    tokens: tuple[TokenRow, ...]
    exemplars: tuple[ExemplarRow, ...]
    hypotheses: tuple[HypothesisRow, ...]
    results: tuple[ResultRow, ...]
    replies: tuple[str, ...]
    """What the model said before in this conversation."""
    complaint: str
    """What was wrong with the last of them; empty at the first asking."""


def read(body: Mapping[str, Any]) -> Sheet:
    """The request behind a chat-completions body.

    A line that is no JSON object, or lacks what its block needs, is passed over as a reader would.

    Raises:
        Unreadable: there is no JSON schema to answer in, or no user message.
    """
    name, schema = _asked(body)
    messages = [(str(m.get("role")), str(m.get("content") or "")) for m in body.get("messages", ())]
    users = [text for role, text in messages if role == "user"]
    if not users:
        raise Unreadable("The request has no user message; the data is expected in the first one.")
    systems = [text for role, text in messages if role == "system"]
    blocks = _blocks(users[0])
    return Sheet(
        role=name,
        schema=schema,
        instructions="\n".join([*systems, _BLOCK.sub("", users[0])]),
        blocks=blocks,
        tokens=_rows(blocks, "tokens", TokenRow),
        exemplars=_rows(blocks, "exemplars", ExemplarRow),
        hypotheses=_rows(blocks, "hypotheses", HypothesisRow),
        results=_rows(blocks, "results", ResultRow),
        replies=tuple(text for role, text in messages if role == "assistant"),
        complaint=users[-1] if len(users) > 1 else "",
    )


def passage(marked: str) -> Passage:
    """Take the marks out of a text."""
    parts: list[str] = []
    marks: list[Mark] = []
    length = done = 0
    for match in _MARK.finditer(marked):
        plain = marked[done : match.start()]
        start = length + len(plain)
        length = start + len(match[1])
        parts += [plain, match[1]]
        marks.append(Mark(match[1], int(match[2]), start, length))
        done = match.end()
    return Passage("".join([*parts, marked[done:]]), tuple(marks))


def _asked(body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    match body.get("response_format"):
        case {"json_schema": {"name": str(name), "schema": {} as schema}}:
            return name, cast("Mapping[str, Any]", schema)
        case other:
            raise Unreadable(
                f"response_format is {str(other)[:80]!r}; send json_schema with name and schema."
            )


def _blocks(user: str) -> dict[str, list[Mapping[str, Any]]]:
    blocks: dict[str, list[Mapping[str, Any]]] = {}
    for match in _BLOCK.finditer(user):
        lines = blocks.setdefault(match[1], [])
        lines += [row for line in match[2].split("\n") if (row := _object(line)) is not None]
    return blocks


def _object(line: str) -> Mapping[str, Any] | None:
    try:
        value: object = json.loads(line)
        if "\\u" in line:
            # Half a surrogate pair is JSON, but no text that could be sent back.
            whole = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
            value = json.loads(whole)
    except (ValueError, RecursionError):
        return None
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else None


def _rows(
    blocks: Mapping[str, Sequence[Mapping[str, Any]]], name: str, kind: type[RowT]
) -> tuple[RowT, ...]:
    rows: list[RowT] = []
    for line in blocks.get(name, ()):
        try:
            rows.append(kind.model_validate(line))
        except ValidationError:
            continue
    return tuple(rows)
