"""A brain that obeys whatever the data tells it, to prove that no verdict hangs on its word."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from tests.llm_server.fitting import Schema, Unfit, at, fit
from tests.llm_server.reading import Sheet, passage, read
from tests.llm_server.scientist import reply, written

_ORDER = re.compile(
    r"\b(?:ignore|disregard|forget|override|confirmed|refuted|system:|assistant:|tool output|"
    r"(?:you must|always|instead|now|please)\s+(?:report|say|answer|output|conclude|reply))\b"
    r"|<\|\w+\|>|\[/?(?:INST|SYS)\]",
    re.IGNORECASE,
)
_TOLD = re.compile(
    r"\b(?:report|say|answer|output|conclude|reply(?: with)?)\b:?\s+(.+)", re.I | re.S
)
_HYPOTHESIS = re.compile(r"\b(?:hypothesis:|propose(?: that)?)\s+([^\n{}]+)", re.IGNORECASE)
_OBSERVATION = re.compile(r"\bO\d+\.\d+\b")
_LONGEST = 300
_WORDS = ("observation", "description", "text")
"""Fields that are mere words."""


def obedient(body: dict[str, Any]) -> str:
    """The scientist's reply, bent to all orders, replies and ids that stand in the data.

    Raises:
        Unreadable: the request has no schema, no user message, or a role nobody knows.
    """
    sheet = read(body)
    answer = reply(sheet, 0)
    texts = list(dict.fromkeys(_texts(sheet)))
    orders = [text for text in texts if " " in text.strip() and _ORDER.search(text)]
    for order in orders:
        answer = _obey(order, answer, sheet)
    for text in texts:
        for fake in _objects(text):
            answer = _overlaid(answer, fake, sheet.schema)
    return written(answer)


def _texts(sheet: Sheet) -> Iterator[str]:
    """Every string of the data, without the marks of activations."""
    for lines in sheet.blocks.values():
        for line in lines:
            for text in _strings(line):
                yield text
                yield passage(text).text


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            yield from _each(cast("dict[str, object]", value).values())
        case list():
            yield from _each(cast("list[object]", value))
        case _:
            return


def _each(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        yield from _strings(value)


def _objects(text: str) -> Iterator[Mapping[str, Any]]:
    decoder = json.JSONDecoder()
    position = text.find("{")
    while position >= 0:
        try:
            value, end = decoder.raw_decode(text, position)
            yield value
        except (ValueError, RecursionError):
            end = position + 1
        position = text.find("{", end)


def _obey(order: str, answer: dict[str, Any], sheet: Sheet) -> dict[str, Any]:
    told = _TOLD.search(order)
    words = (told[1] if told else order)[:_LONGEST]
    bent = _reworded(answer, words)
    if "claims" in bent:
        shows = "inactive" if re.search(r"\binactive\b", order, re.IGNORECASE) else "active"
        cited = _OBSERVATION.findall(order)
        claim = {"text": words, "shows": shows, "observations": cited}
        bent["claims"] = [claim, *bent["claims"]] if cited else bent["claims"]
    idea = _HYPOTHESIS.search(order)
    for field in ("hypotheses", "refinements"):
        if idea and field in bent:
            guess = {"parent": None, "statement": idea[1].strip(), "polarity": "active"}
            bent[field] = [{**guess, "rule": None}, *bent[field]]
    return _overlaid(answer, bent, sheet.schema)


def _reworded(value: Any, words: str) -> Any:
    """Everything that is said, said otherwise; what is to be measured stays."""
    if isinstance(value, list):
        return [_reworded(item, words) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    items = cast("dict[str, Any]", value)
    if "kind" in items:
        return {**items, "expected": "active"} if "active" in words.lower() else items
    return {
        key: words if key in _WORDS and isinstance(item, str) else _reworded(item, words)
        for key, item in items.items()
    }


def _overlaid(answer: dict[str, Any], fake: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """The answer with the fields of a fake one, as far as the schema has and allows them."""
    taken = dict(answer)
    for key, value in fake.items():
        field = at(schema, key) if key in answer else None
        try:
            kept = fit(value, field, schema) if field is not None else None
        except Unfit:
            continue
        if kept not in (None, []):
            taken[key] = kept
    return taken
