"""Conditions made of conditions: conjunction and exception."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from tools.rules import fields
from tools.rules.condition import Condition, condition_from_json
from tools.rules.detail import FULL, Detail
from tools.rules.windows import Mask, Windows
from tools.rules.wording import count


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """A condition does not hold: an exception, within a conjunction."""

    kind: ClassVar[str] = "not"
    condition: Condition
    """What must not hold."""

    def compute(self, windows: Windows) -> Mask:
        return ~self.condition.mask(windows)

    def clause(self, detail: Detail = FULL) -> str:
        return f"except {self.exception(detail)}"

    def exception(self, detail: Detail = FULL) -> str:
        """What is excepted, to follow `except`."""
        if isinstance(self.condition, Not):
            return f"anything but {self.condition.condition.other(detail)}"
        if detail.deep <= 0:
            return "in certain places"
        inner = detail.inner()
        return self.condition.noun(inner) or self.condition.clause(inner)

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

    def noun(self, detail: Detail = FULL) -> str:
        named = next((c for c in self.conditions if c.noun(detail)), None)
        head = (named.noun(detail) if named else None) or "any token"
        rest = [c for c in self.conditions if c is not named]
        return f"{head} {self._clauses(rest, detail)}".rstrip()

    def clause(self, detail: Detail = FULL) -> str:
        return self._clauses(self.conditions, detail)

    def _clauses(self, conditions: Sequence[Condition], detail: Detail) -> str:
        """`right after X and at the start of a line, except within a string or after Y`."""
        said, left = conditions[: detail.joined], len(conditions[detail.joined :])
        demands = [c.clause(detail) for c in said if not isinstance(c, Not)]
        if left:
            demands.append(f"under {count(left, 'further condition')}")
        exceptions = [c.exception(detail) for c in said if isinstance(c, Not)]
        clauses = " and ".join(demands)
        return f"{clauses} except {' or '.join(exceptions)}".lstrip() if exceptions else clauses

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
