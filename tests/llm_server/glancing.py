"""One look at the strongest contexts: which tokens carry them, without any experiment."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.llm_server.ideas import Idea
from tests.llm_server.reading import Sheet

_CARRIES = 5
_MOST_TOKENS = 12


def glance(sheet: Sheet, turn: int) -> dict[str, Any]:
    """A OneShotReply; after a refusal without a rule."""
    carried: Counter[str] = Counter()
    for row in sheet.blocks.get("pairs", ()):
        for token, step in row["active"]:
            carried[token] += step if step >= _CARRIES else 0
    tokens = tuple(token for token, _ in carried.most_common(_MOST_TOKENS) if token)
    idea = Idea(tokens)
    return {"description": idea.statement(), "rule": None if turn else idea.rule()}
