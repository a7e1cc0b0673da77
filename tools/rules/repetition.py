"""Conditions on what the text has said before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tools.rules import fields
from tools.rules.condition import Condition, condition_from_json
from tools.rules.detail import FULL, Detail
from tools.rules.windows import Mask, Windows
from tools.rules.wording import reach


@dataclass(frozen=True, slots=True)
class Repeated(Condition):
    """The same token occurred earlier in the text."""

    kind: ClassVar[str] = "repeated"

    def compute(self, windows: Windows) -> Mask:
        return _seen(_within(windows, windows.codes))

    def clause(self, detail: Detail = FULL) -> str:
        return "where the same token came before"


@dataclass(frozen=True, slots=True)
class Recurring(Condition):
    """The same token stands between `nearest` and `farthest` tokens earlier: `A A`, `A b A`."""

    kind: ClassVar[str] = "recurring"
    nearest: int = 1
    """1 is the token right before."""
    farthest: int = 1
    """At least `nearest`."""

    def compute(self, windows: Windows) -> Mask:
        codes, held = windows.codes, np.zeros(len(windows), dtype=bool)
        for back in range(self.nearest, min(self.farthest, len(windows) - 1) + 1):
            held[back:] |= (codes[back:] == codes[:-back]) & (windows.positions[back:] >= back)
        return held

    def clause(self, detail: Detail = FULL) -> str:
        return f"{reach(self.nearest, self.farthest)} the same token"

    @property
    def complexity(self) -> int:
        return 1 + (self.farthest > 8)

    def arguments(self) -> dict[str, Any]:
        return {"nearest": self.nearest, "farthest": self.farthest}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("nearest", "farthest"), cls.kind)
        return cls(*fields.distances(data, cls.kind))


@dataclass(frozen=True, slots=True)
class Induced(Condition):
    """The token before it occurred earlier in the text and was then followed by this token.

    The second B of `AB...AB`, which an induction head predicts (Olsson et al., 2022).
    """

    kind: ClassVar[str] = "induced"

    def compute(self, windows: Windows) -> Mask:
        size = len(windows.vocabulary)
        pairs = np.full(len(windows), -1, dtype=np.int64)
        pairs[1:] = windows.codes[:-1] * size + windows.codes[1:]
        pairs[windows.positions == 0] = -1
        ranks = np.unique(pairs, return_inverse=True)[1]
        return _seen(_within(windows, ranks)) & (windows.positions > 0)

    def clause(self, detail: Detail = FULL) -> str:
        return "where the same two tokens came before"


@dataclass(frozen=True, slots=True)
class Foreseen(Condition):
    """The same token occurred earlier, and the token behind it, the last time, met a condition.

    The second A of `AB...A`, at which an induction head predicts B.
    """

    kind: ClassVar[str] = "foreseen"
    condition: Condition
    """What must hold for B where it stood."""

    def compute(self, windows: Windows) -> Mask:
        keys = _within(windows, windows.codes)
        order = np.argsort(keys, kind="stable")
        again = keys[order][1:] == keys[order][:-1]
        mask = np.zeros(len(windows), dtype=bool)
        mask[order[1:][again]] = self.condition.mask(windows)[order[:-1][again] + 1]
        return mask

    def clause(self, detail: Detail = FULL) -> str:
        return f"where the same token came before, followed by {self.condition.other(detail)}"

    @property
    def complexity(self) -> int:
        return 1 + self.condition.complexity

    def arguments(self) -> dict[str, Any]:
        return {"condition": self.condition.to_json()}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("condition",), cls.kind)
        return cls(condition_from_json(data.get("condition")))


def _within(windows: Windows, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers that are equal where `codes` are, in the same window; shape (n_tokens,)."""
    return windows.starts * (len(windows) + len(windows.vocabulary)) + codes


def _seen(keys: NDArray[np.int64]) -> Mask:
    """Where a key has occurred before."""
    seen = np.ones(len(keys), dtype=bool)
    seen[np.unique(keys, return_index=True)[1]] = False
    return seen
