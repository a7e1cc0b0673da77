"""Replies of a given shape: the schema that is sent, and the record in the text that comes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tools.errors import UnusableReply
from tools.llm.replies import CUT_OFF, REFUSAL, Reply

M = TypeVar("M", bound=BaseModel)

_NAMED = ("properties", "$defs")
_KEPT = {"$ref", "type", "description", "enum", "const", "items", "anyOf"}
"""What every server's schemas may hold. Bounds and patterns are not among it; each reply is
checked against them all the same."""

_REMEMBERED = 256
"""Shapes whose schema is kept; those made for one question are let go of."""

_THINKING = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
"""What some servers leave before the reply of a model that thinks aloud."""

_ERRORS_TOLD = 5
_LONGEST_ERROR = 300


@lru_cache(_REMEMBERED)
def response_format(reply: type[BaseModel]) -> dict[str, Any]:
    """The request field that asks for replies of this shape and no other."""
    schema = _strict(reply.model_json_schema())
    named = {"name": reply.__name__, "strict": True, "schema": schema}
    return {"type": "json_schema", "json_schema": named}


def _strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with every property required and no other allowed, in common keywords only."""
    strict: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _NAMED:
            strict[key] = {name: _strict(inner) for name, inner in value.items()}
        elif key in ("anyOf", "oneOf"):
            strict["anyOf"] = [_strict(inner) for inner in value]
        elif key == "items":
            strict[key] = _strict(value)
        elif key in _KEPT:
            strict[key] = value
    if "properties" in strict:
        strict["required"] = list(strict["properties"])
        strict["additionalProperties"] = False
    if "$ref" in strict and len(strict) > 1:
        # A reference may have no neighbours.
        strict["anyOf"] = [{"$ref": strict.pop("$ref")}]
    return strict


def parsed(reply: Reply, shape: type[M]) -> M:
    """The reply as a record: of several, the last, for a model that thinks aloud concludes there.

    Raises:
        UnusableReply: there is none of this shape in it; says what is wrong, to the model.
    """
    if reply.finish_reason == CUT_OFF:
        raise UnusableReply("it was cut off at the limit of output tokens; be much briefer")
    if reply.finish_reason in (REFUSAL, "content_filter"):
        raise UnusableReply("it is a refusal, where the JSON object was asked for")
    if not reply.text.strip():
        raise UnusableReply("it is empty")
    complaint: UnusableReply | None = None
    for candidate in reversed(list(_objects(without_thinking(reply.text)))):
        try:
            return _record(candidate, shape)
        except UnusableReply as error:
            complaint = complaint or error
    raise complaint or UnusableReply("there is no complete JSON object in it")


def without_thinking(text: str) -> str:
    """The text without the thoughts that it begins with."""
    return _THINKING.sub("", text, count=1) if _THINKING.match(text) else text


def _record(candidate: dict[str, Any], shape: type[M]) -> M:
    _check_storable(candidate)
    try:
        record = shape.model_validate(candidate)
    except ValidationError as error:
        raise UnusableReply(_told(error)) from None
    # A shape whose fields all have defaults would take any object, a part of a broken one too.
    if not candidate.keys() & shape.model_fields.keys():
        raise UnusableReply(f"it has none of: {', '.join(shape.model_fields)}")
    return record


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, whatever stands around them."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    start = text.find("{")
    while start >= 0:
        end = start + 1
        try:
            value, end = decoder.raw_decode(text, start)
            yield value
        except (ValueError, RecursionError):
            # A brace of the prose; a real object may begin at the next one.
            pass
        start = text.find("{", end)


def _check_storable(value: object) -> None:
    """Refuse what JSON can escape and nothing can store, and what nobody could walk through."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UnusableReply("it has escapes that are no Unicode characters") from None
    except RecursionError:
        raise UnusableReply("it is nested too deeply") from None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _told(error: ValidationError) -> str:
    """What the model must correct."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines: list[str] = []
    for item in found[:_ERRORS_TOLD]:
        place = ".".join(str(part) for part in item["loc"]) or "the object"
        lines.append(f"{place}: {item['msg']}"[:_LONGEST_ERROR])
    more = len(found) - _ERRORS_TOLD
    if more > 0:
        lines.append(f"and {more} more")
    return "; ".join(lines)
