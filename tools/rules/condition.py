"""What every kind of condition has in common, and how kinds are found by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from tools.errors import RuleError
from tools.rules import fields
from tools.rules.detail import FULL, Detail
from tools.rules.windows import Mask, Windows


class Condition(ABC):
    """Something that is true or false of a token in its window.

    A kind is a frozen dataclass that names itself in `kind` and thereby registers. In words a
    condition is a noun phrase (what the token is), a clause (what else is true of it), or both.
    """

    kind: ClassVar[str]
    """Its name in JSON."""
    kinds: ClassVar[dict[str, type[Condition]]] = {}
    """Every kind by name."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Condition.kinds[cls.kind] = cls

    def mask(self, windows: Windows) -> Mask:
        """Tokens of `windows` for which the condition holds."""
        if windows.parts:
            return np.concatenate([self.mask(part) for part in windows.parts])
        return windows.remember(self, self.compute)

    @abstractmethod
    def compute(self, windows: Windows) -> Mask:
        """What `mask` remembers."""

    @abstractmethod
    def clause(self, detail: Detail = FULL) -> str:
        """What is true of the token, to follow a noun: `at the start of a line`."""

    def noun(self, detail: Detail = FULL) -> str | None:
        """What the token is, as a noun phrase; None when it says only where the token stands."""
        return None

    def phrase(self, detail: Detail = FULL) -> str:
        """The condition as a noun phrase in any case."""
        return self.noun(detail) or f"any token {self.clause(detail)}"

    def other(self, detail: Detail = FULL) -> str:
        """The condition as a noun phrase for another token, which is mentioned in passing."""
        if detail.deep <= 0:
            return "certain tokens"
        inner = detail.inner()
        return self.noun(inner) or f"a token {self.clause(inner)}"

    @property
    def complexity(self) -> int:
        """How much there is to say: conditions plus listed tokens."""
        return 1

    def arguments(self) -> dict[str, Any]:
        """Its JSON without the kind; a kind with fields says them."""
        return {}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """The condition of those fields; a kind with fields reads them.

        Raises:
            RuleError: a field is missing, malformed or not one of the kind's.
        """
        fields.closed(data, (), cls.kind)
        return cls()

    def to_json(self) -> dict[str, Any]:
        """The condition as a JSON object."""
        return {"kind": self.kind, **self.arguments()}


def condition_from_json(data: object) -> Condition:
    """The condition that `data` describes.

    Raises:
        RuleError: `data` is malformed or names an unknown kind.
    """
    content = fields.mapping(data, "A condition")
    name = fields.string(content, "kind", "A condition")
    if name not in Condition.kinds:
        known = ", ".join(sorted(Condition.kinds))
        raise RuleError(f"Unknown kind of condition {name!r}; known kinds are {known}.")
    return Condition.kinds[name].parse({k: v for k, v in content.items() if k != "kind"})
