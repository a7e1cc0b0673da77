"""Conditions on where the token stands: what came before, lines, position, repetition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tools.errors import RuleError
from tools.rules import fields
from tools.rules.condition import Condition, condition_from_json
from tools.rules.windows import Mask, Windows
from tools.rules.wording import count


@dataclass(frozen=True, slots=True)
class Before(Condition):
    """A condition holds for some token between `nearest` and `farthest` tokens earlier."""

    kind: ClassVar[str] = "before"
    condition: Condition
    """What must hold for the earlier token."""
    nearest: int = 1
    """1 is the token right before."""
    farthest: int = 1
    """At least `nearest`."""

    def compute(self, windows: Windows) -> Mask:
        counts = np.concatenate([[0], np.cumsum(self.condition.mask(windows))])
        here = np.arange(len(windows))
        begin = np.maximum(here - self.farthest, windows.starts)
        end = np.maximum(here - self.nearest + 1, begin)
        return counts[end] > counts[begin]

    def clause(self) -> str:
        what = self.condition.noun() or f"a token {self.condition.clause()}"
        if self.farthest == 1:
            return f"right after {what}"
        if self.nearest == self.farthest:
            return f"{count(self.farthest, 'token')} after {what}"
        if self.nearest == 1:
            return f"within {count(self.farthest, 'token')} after {what}"
        return f"between {self.nearest} and {self.farthest} tokens after {what}"

    @property
    def complexity(self) -> int:
        # A far reach is one more thing to say: it is easily met by chance.
        return 1 + self.condition.complexity + (self.farthest > 8)

    def arguments(self) -> dict[str, Any]:
        inner = self.condition.to_json()
        return {"condition": inner, "nearest": self.nearest, "farthest": self.farthest}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("condition", "nearest", "farthest"), cls.kind)
        nearest = fields.positive(data, "nearest", cls.kind)
        farthest = fields.positive(data, "farthest", cls.kind)
        if farthest < nearest:
            raise RuleError(f"{cls.kind}: 'farthest' must be at least 'nearest'.")
        return cls(condition_from_json(data.get("condition")), nearest, farthest)


@dataclass(frozen=True, slots=True)
class FirstTokens(Condition):
    """The token is among the first of the text."""

    kind: ClassVar[str] = "first_tokens"
    count: int
    """How many tokens from the start of the text."""

    def compute(self, windows: Windows) -> Mask:
        return windows.positions < self.count

    def clause(self) -> str:
        if self.count == 1:
            return "at the very start of the text"
        return f"among the first {self.count} tokens of the text"

    def arguments(self) -> dict[str, Any]:
        return {"count": self.count}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("count",), cls.kind)
        return cls(fields.positive(data, "count", cls.kind))


@dataclass(frozen=True, slots=True)
class LineStart(Condition):
    """The token is the first on its line that is not whitespace; a text starts with a line."""

    kind: ClassVar[str] = "line_start"

    def compute(self, windows: Windows) -> Mask:
        blank = windows.surfaces(lambda surface: not surface.strip())
        breaks = windows.surfaces(lambda surface: "\n" in surface[len(surface.rstrip()) :])
        opens = windows.surfaces(lambda surface: "\n" in surface[: -len(surface.lstrip()) or None])
        outside = windows.starts - 1
        last_word = np.maximum(_latest_before(~blank), outside)
        last_break = np.maximum(_latest_before(breaks), outside)
        return ~blank & ((last_break >= last_word) | opens)

    def clause(self) -> str:
        return "at the start of a line"

    def arguments(self) -> dict[str, Any]:
        return {}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, (), cls.kind)
        return cls()


@dataclass(frozen=True, slots=True)
class Repeated(Condition):
    """The same token occurred earlier in the text."""

    kind: ClassVar[str] = "repeated"

    def compute(self, windows: Windows) -> Mask:
        if not len(windows):
            return np.zeros(0, dtype=bool)
        keys = windows.starts * (len(windows.vocabulary) + 1) + windows.codes
        repeated = np.ones(len(windows), dtype=bool)
        repeated[np.unique(keys, return_index=True)[1]] = False
        return repeated

    def clause(self) -> str:
        return "where the same token came before"

    def arguments(self) -> dict[str, Any]:
        return {}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, (), cls.kind)
        return cls()


def _latest_before(mask: Mask) -> NDArray[np.int64]:
    """Index of the latest token before each one for which `mask` holds; -1 if there is none."""
    latest = np.maximum.accumulate(np.where(mask, np.arange(len(mask)), -1))
    return np.concatenate([[-1], latest])[: len(mask)]
