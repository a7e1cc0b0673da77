"""Conditions on what encloses the token: strings, comments, quotations, brackets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from tools.rules import fields
from tools.rules.condition import Condition
from tools.rules.detail import FULL, Detail
from tools.rules.enclosing import (
    BRACKETS,
    IN_BRACKETS,
    IN_PARENTHESES,
    IN_QUOTATION,
    IN_SLASH_COMMENT,
    IN_STRING,
    PARENTHESES,
    QUOTATION,
    SLASH_COMMENT,
    STRING,
)
from tools.rules.windows import Mask, Windows

Enclosure = Literal[
    "quotes",
    "long_string",
    "comment",
    "brackets",
    "string",
    "slash_comment",
    "quotation",
    "parentheses",
]
"""`quotes`: between two quotation marks on one line; `long_string`: after an odd number of triple
quotes; `comment`: after a `#` on its line; for the others see `tools.rules.enclosing`."""

_WHERE: dict[Enclosure, str] = {
    "quotes": "inside quotation marks",
    "long_string": "inside a triple-quoted string",
    "comment": "in a comment",
    "brackets": "inside brackets",
    "string": "inside a string",
    "slash_comment": "in a slashed comment",
    "quotation": "inside a quotation",
    "parentheses": "inside parentheses",
}
_AUTOMATA = {
    "string": (STRING, IN_STRING),
    "slash_comment": (SLASH_COMMENT, IN_SLASH_COMMENT),
    "quotation": (QUOTATION, IN_QUOTATION),
    "parentheses": (PARENTHESES, IN_PARENTHESES),
    "brackets": (BRACKETS, IN_BRACKETS),
}


@dataclass(frozen=True, slots=True)
class Inside(Condition):
    """Something that began earlier in the text, or on the line, has not ended yet.

    It is decided from the tokens before this one alone, as a language model has to: a text that
    starts inside a string does not show it.
    """

    kind: ClassVar[str] = "inside"
    what: Enclosure
    """What encloses the token."""

    def compute(self, windows: Windows) -> Mask:
        if self.what in _AUTOMATA:
            automaton, inside = _AUTOMATA[self.what]
            table = np.isin(np.arange(automaton.states), list(inside))
            return table[automaton.before(windows)]
        if self.what == "long_string":
            return _summed(windows.numbers(_triple_quotes), windows.starts) % 2 == 1
        mark, lines = ("#" if self.what == "comment" else '"'), _line_starts(windows)
        marks = _summed(windows.numbers(lambda s: _on_last_line(s).count(mark)), lines)
        return marks > 0 if self.what == "comment" else marks % 2 == 1

    def clause(self, detail: Detail = FULL) -> str:
        return _WHERE[self.what]

    def arguments(self) -> dict[str, Any]:
        return {"what": self.what}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("what",), cls.kind)
        return cls(fields.one_of(data, "what", get_args(Enclosure), cls.kind))


def _triple_quotes(surface: str) -> int:
    return surface.count('"""') + surface.count("'''")


def _on_last_line(surface: str) -> str:
    """What a token brings to the line that follows its last line break."""
    return surface.rsplit("\n", 1)[-1].replace('"""', "")


def _summed(counts: NDArray[np.int64], since: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of `counts` over the tokens from `since` up to, not including, each token."""
    total = np.concatenate([[0], np.cumsum(counts)])
    return total[: len(counts)] - total[since]


def _line_starts(windows: Windows) -> NDArray[np.int64]:
    """Index of the token that holds the latest line break before each token, or its window's."""
    breaks = windows.surfaces(lambda surface: "\n" in surface)
    return np.maximum(windows.latest(breaks), windows.starts)
