"""Conditions on the token itself: sets, classes, beginnings and endings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

from tools.errors import RuleError
from tools.rules import fields
from tools.rules.classes import CLASSES, fold
from tools.rules.condition import Condition
from tools.rules.detail import FULL, Detail
from tools.rules.sets import tokens_in_words
from tools.rules.windows import Mask, Windows, truths
from tools.rules.wording import visible


@dataclass(frozen=True, slots=True)
class TokenIn(Condition):
    """The token is one of a set; two sets are equal whatever their order."""

    kind: ClassVar[str] = "token_in"
    tokens: tuple[str, ...] = field(compare=False)
    """The most telling first: descriptions show the first few."""
    folded: bool = False
    """Whether case and leading space are ignored."""
    members: frozenset[str] = field(init=False, repr=False)
    """The set that is looked up, folded if `folded`."""

    def __post_init__(self) -> None:
        tokens = map(fold, self.tokens) if self.folded else self.tokens
        object.__setattr__(self, "tokens", tuple(dict.fromkeys(tokens)))
        object.__setattr__(self, "members", frozenset(self.tokens))

    def compute(self, windows: Windows) -> Mask:
        known = windows.vocabulary
        if self.folded:
            return windows.coded(c for token in self.members for c in known.folded.get(token, ()))
        return windows.coded(known.code_of[t] for t in self.members if t in known.code_of)

    def noun(self, detail: Detail = FULL) -> str:
        said = tokens_in_words(self.tokens, replace(detail, joint="or") if self.folded else detail)
        if self.folded:
            letters = any(char.isalpha() for token in self.tokens for char in token)
            return f"{said} {'in any spelling' if letters else 'with or without a space'}"
        return said

    def clause(self, detail: Detail = FULL) -> str:
        return f"that are {tokens_in_words(self.tokens, replace(detail, joint='or'))}"

    @property
    def complexity(self) -> int:
        return len(self.tokens)

    def arguments(self) -> dict[str, Any]:
        return {"tokens": list(self.tokens), "folded": self.folded}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("tokens", "folded"), cls.kind)
        return cls(fields.strings(data, "tokens", cls.kind), fields.flag(data, "folded", cls.kind))


@dataclass(frozen=True, slots=True)
class InClass(Condition):
    """The token belongs to a named class."""

    kind: ClassVar[str] = "token_class"
    name: str
    """A key of `tools.rules.classes.CLASSES`."""

    def compute(self, windows: Windows) -> Mask:
        known = windows.vocabulary
        table = known.table(self, lambda surfaces: truths(CLASSES[self.name].holds, surfaces))
        return table[windows.codes]

    def noun(self, detail: Detail = FULL) -> str:
        return CLASSES[self.name].noun

    def clause(self, detail: Detail = FULL) -> str:
        return f"that are {CLASSES[self.name].noun}"

    def arguments(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("name",), cls.kind)
        name = fields.string(data, "name", cls.kind)
        if name not in CLASSES:
            known = ", ".join(sorted(CLASSES))
            raise RuleError(f"Unknown token class {name!r}; known classes are {known}.")
        return cls(name)


@dataclass(frozen=True, slots=True)
class Affix(Condition):
    """The token begins or ends with some text, leading space set aside, and is longer than it."""

    kind: ClassVar[str] = "affix"
    text: str
    """What the token begins or ends with."""
    at: Literal["start", "end"]
    """Which end of the token."""

    def compute(self, windows: Windows) -> Mask:
        return windows.surfaces(self._holds)

    def _holds(self, surface: str) -> bool:
        body = surface.lstrip(" ")
        meets = body.startswith if self.at == "start" else body.endswith
        return len(body) > len(self.text) and meets(self.text)

    def noun(self, detail: Detail = FULL) -> str:
        return f"tokens {self.clause()}"

    def clause(self, detail: Detail = FULL) -> str:
        return f"that {'begin' if self.at == 'start' else 'end'} with {visible(self.text)}"

    @property
    def complexity(self) -> int:
        return 2

    def arguments(self) -> dict[str, Any]:
        return {"text": self.text, "at": self.at}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("text", "at"), cls.kind)
        at = fields.one_of(data, "at", ("start", "end"), cls.kind)
        return cls(fields.string(data, "text", cls.kind), at)
