"""Conditions made of conditions: conjunction and exception."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from tools.rules import fields
from tools.rules.condition import Condition, condition_from_json
from tools.rules.windows import Mask, Windows


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """A condition does not hold: an exception, within a conjunction."""

    kind: ClassVar[str] = "not"
    condition: Condition
    """What must not hold."""

    def compute(self, windows: Windows) -> Mask:
        return ~self.condition.mask(windows)

    def clause(self) -> str:
        return f"except {self.exception()}"

    def exception(self) -> str:
        """What is excepted, to follow `except`."""
        return self.condition.noun() or self.condition.clause()

    @property
    def complexity(self) -> int:
        return 1 + self.condition.complexity

    def arguments(self) -> dict[str, Any]:
        return {"condition": self.condition.to_json()}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("condition",), cls.kind)
        return cls(condition_from_json(data.get("condition")))


@dataclass(frozen=True, slots=True)
class AllOf(Condition):
    """Several conditions hold at once."""

    kind: ClassVar[str] = "all_of"
    conditions: tuple[Condition, ...]
    """What the token is first, then where it stands, then the exceptions: as it is said."""

    def compute(self, windows: Windows) -> Mask:
        return np.logical_and.reduce([condition.mask(windows) for condition in self.conditions])

    def noun(self) -> str:
        named = next((c for c in self.conditions if c.noun()), None)
        head = (named.noun() if named else None) or "any token"
        return f"{head} {self._clauses([c for c in self.conditions if c is not named])}".rstrip()

    def clause(self) -> str:
        return self._clauses(self.conditions)

    def _clauses(self, conditions: Sequence[Condition]) -> str:
        """`right after X and at the start of a line, except within a string or after Y`."""
        demands = [c.clause() for c in conditions if not isinstance(c, Not)]
        exceptions = [c.exception() for c in conditions if isinstance(c, Not)]
        said = " and ".join(demands)
        return f"{said} except {' or '.join(exceptions)}".lstrip() if exceptions else said

    @property
    def complexity(self) -> int:
        return sum(condition.complexity for condition in self.conditions)

    def arguments(self) -> dict[str, Any]:
        return {"conditions": [condition.to_json() for condition in self.conditions]}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("conditions",), cls.kind)
        conditions = fields.sequence(data, "conditions", cls.kind)
        return cls(tuple(condition_from_json(condition) for condition in conditions))
