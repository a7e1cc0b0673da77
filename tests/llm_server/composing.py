"""The judge's own texts: ordinary sentences, with what an explanation speaks of or without it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

from tests.llm_server.examining import Meaning, meaning
from tests.llm_server.ideas import Idea
from tests.llm_server.reading import Sheet
from tools.rules import CLASSES

_WISH = re.compile(r"Write (\d+) texts on which the feature (fires|does)")
_HEADS = (
    "On quiet days we often saw",
    "Nobody in town remembered",
    "At dawn two travellers spoke of",
    "Later my sister wrote about",
    "Some old maps still show",
    "He slowly drew a picture with",
)
_TAILS = (
    " while rain fell over yellow fields",
    " near some bridge they once built",
    " until evening came and lamps went out",
)
_SAMPLES = (
    *(" London", " Maria", " NATO", " 42", "7", ",", ";", " (", ")", "]", " +", " ==", ' "', "."),
    *("\n", "\n    ", "\n        ", " import", " return", " the", " with", " x", " camelCase"),
    *(" she", " under", " because", " is", " why", " seven", " June", " Monday", " 1984", " x1"),
    *(" ---", " \u043c\u0438\u0440", " \u4e2d"),
    *("some_name", "pieces", "caf\u00e9", " stra\u00dfe", " words"),
)
"""Tokens of every class."""


def write(sheet: Sheet, turn: int) -> dict[str, Any]:
    """A WriterReply."""
    wish = _WISH.search(sheet.instructions)
    count, fires = (int(wish[1]), wish[2] == "fires") if wish else (1, True)
    known = meaning(sheet)
    drafts = _firing(known) if fires else _plain()
    fitting = (text for text in drafts if (known.strongest("", text) > 0) == fires)
    return {"texts": [text for text, _ in zip(dict.fromkeys(fitting), range(count), strict=False)]}


def _firing(known: Meaning) -> Iterator[str]:
    active = [part.idea for part in known.parts if not part.idea.silent]
    for (head, tail), idea in product(product(_HEADS, _TAILS), active):
        for token in _tokens(idea):
            yield f"{head}{_lead(idea, token)}{token}{tail}"


def _tokens(idea: Idea) -> list[str]:
    if idea.tokens:
        return list(idea.tokens)
    holds = CLASSES[idea.token_class or "any"].holds
    return [token for token in _SAMPLES if holds(token)]


def _lead(idea: Idea, token: str) -> str:
    """What must stand before the token for the idea to hold, and for the token to stand alone."""
    if idea.after:
        return idea.after[0]
    if idea.quoted:
        return ' "'
    return "\n" if idea.line_start or token[:1].isalnum() else ""


def _plain() -> Iterator[str]:
    for (head, tail), thing in product(product(_HEADS, _TAILS), (" houses", " boats", " wheat")):
        yield f"{head}{thing}{tail}"
