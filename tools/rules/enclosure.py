"""Conditions on what encloses the token: strings, comments, brackets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, cast, get_args

import numpy as np
from numpy.typing import NDArray

from tools.errors import RuleError
from tools.rules import fields
from tools.rules.condition import Condition
from tools.rules.windows import Mask, Windows

Enclosure = Literal["quotes", "long_string", "comment", "brackets"]
"""`quotes`: between two quotation marks on one line; `long_string`: after an odd number of triple
quotes; `comment`: after a `#` on its line; `brackets`: more brackets opened than closed."""

_WHERE: dict[Enclosure, str] = {
    "quotes": "inside quotation marks",
    "long_string": "inside a triple-quoted string",
    "comment": "in a comment",
    "brackets": "inside brackets",
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
        if self.what == "brackets":
            return _summed(_counts(windows, _bracket_balance), windows.starts) > 0
        if self.what == "long_string":
            return _summed(_counts(windows, _triple_quotes), windows.starts) % 2 == 1
        mark, lines = ("#" if self.what == "comment" else '"'), _line_starts(windows)
        marks = _summed(_counts(windows, lambda s: _on_last_line(s).count(mark)), lines)
        return marks > 0 if self.what == "comment" else marks % 2 == 1

    def clause(self) -> str:
        return _WHERE[self.what]

    def arguments(self) -> dict[str, Any]:
        return {"what": self.what}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("what",), cls.kind)
        what = fields.string(data, "what", cls.kind)
        if what not in get_args(Enclosure):
            known = ", ".join(get_args(Enclosure))
            raise RuleError(f"{cls.kind}: 'what' must be one of {known}, not {what!r}.")
        return cls(cast(Enclosure, what))


def _bracket_balance(surface: str) -> int:
    return sum((char in "([{") - (char in ")]}") for char in surface)


def _triple_quotes(surface: str) -> int:
    return surface.count('"""') + surface.count("'''")


def _on_last_line(surface: str) -> str:
    """What a token brings to the line that follows its last line break."""
    return surface.rsplit("\n", 1)[-1].replace('"""', "")


def _counts(windows: Windows, number: Callable[[str], int]) -> NDArray[np.int64]:
    """A number for each token, computed once per distinct surface."""
    table = np.fromiter(map(number, windows.vocabulary), np.int64, count=len(windows.vocabulary))
    return table[windows.codes]


def _summed(counts: NDArray[np.int64], since: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of `counts` over the tokens from `since` up to, not including, each token."""
    total = np.concatenate([[0], np.cumsum(counts)])
    return total[: len(counts)] - total[since]


def _line_starts(windows: Windows) -> NDArray[np.int64]:
    """Index of the token that holds the latest line break before each token, or its window's."""
    breaks = windows.surfaces(lambda surface: "\n" in surface)
    latest = np.maximum.accumulate(np.where(breaks, np.arange(len(windows)), -1))
    before = np.concatenate([[-1], latest])[: len(windows)]
    return np.maximum(before, windows.starts)
