"""Conditions on the tokens before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from tools.rules import fields
from tools.rules.condition import Condition, condition_from_json
from tools.rules.detail import FULL, Detail
from tools.rules.windows import Mask, Windows
from tools.rules.wording import reach


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
        return windows.earlier(self.condition.mask(windows), self.nearest, self.farthest)

    def clause(self, detail: Detail = FULL) -> str:
        return f"{reach(self.nearest, self.farthest)} {self.condition.other(detail)}"

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
        return cls(condition_from_json(data.get("condition")), *fields.distances(data, cls.kind))
