"""Conditions on words, however the tokenizer splits them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

from tools.rules import fields
from tools.rules.condition import Condition
from tools.rules.detail import FULL, Detail
from tools.rules.sets import tokens_in_words
from tools.rules.spelling import spelling
from tools.rules.windows import Mask, Windows
from tools.rules.wording import reach, visible


@dataclass(frozen=True, slots=True)
class WordIn(Condition):
    """The word so far, from where it began up to this token, is one of a set.

    Whether the word goes on behind the token cannot be known: `import` holds at the first token
    of `import|ant`, too. Two sets are equal whatever their order.
    """

    kind: ClassVar[str] = "word_in"
    words: tuple[str, ...] = field(compare=False)
    """Without leading space; the most telling first."""
    folded: bool = False
    """Whether case is ignored."""
    members: frozenset[str] = field(init=False, repr=False)
    """The set that is looked up, case-folded if `folded`."""

    def __post_init__(self) -> None:
        words = map(str.casefold, self.words) if self.folded else self.words
        object.__setattr__(self, "words", tuple(dict.fromkeys(words)))
        object.__setattr__(self, "members", frozenset(self.words))

    def compute(self, windows: Windows) -> Mask:
        return self.spelt(windows)

    def spelt(self, windows: Windows) -> Mask:
        """Tokens at which the word so far is of the set."""
        if self.folded:
            return spelling(windows).where(lambda word: word.casefold() in self.members)
        return spelling(windows).where(self.members.__contains__)

    def noun(self, detail: Detail = FULL) -> str:
        return f"words that so far read {self.listed(detail)}"

    def clause(self, detail: Detail = FULL) -> str:
        return f"where the word so far reads {self.listed(detail)}"

    def listed(self, detail: Detail) -> str:
        """The words themselves."""
        said = tokens_in_words(self.words, replace(detail, joint="or"))
        return f"{said} in any case" if self.folded else said

    @property
    def complexity(self) -> int:
        return len(self.words)

    def arguments(self) -> dict[str, Any]:
        return {"words": list(self.words), "folded": self.folded}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("words", "folded"), cls.kind)
        return cls(fields.strings(data, "words", cls.kind), fields.flag(data, "folded", cls.kind))


@dataclass(frozen=True, slots=True)
class WordAffix(Condition):
    """The word so far begins or ends with some text, whatever its case, and is longer than it."""

    kind: ClassVar[str] = "word_affix"
    text: str
    """What the word begins or ends with; case is ignored."""
    at: Literal["start", "end"]
    """Which end of the word so far."""

    def compute(self, windows: Windows) -> Mask:
        return spelling(windows).where(self._holds)

    def _holds(self, word: str) -> bool:
        word, text = word.casefold(), self.text.casefold()
        meets = word.startswith if self.at == "start" else word.endswith
        return len(word) > len(text) and meets(text)

    def noun(self, detail: Detail = FULL) -> str:
        return f"words that so far {self._verb()} with {visible(self.text)}"

    def clause(self, detail: Detail = FULL) -> str:
        return f"where the word so far {self._verb()}s with {visible(self.text)}"

    def _verb(self) -> str:
        return "begin" if self.at == "start" else "end"

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


@dataclass(frozen=True, slots=True)
class WordBefore(Condition):
    """A whole word of a set ended between `nearest` and `farthest` tokens earlier.

    Unlike `Before(WordIn(...))` it does not take the beginning of a longer word for the word: that
    it ended is seen from the tokens up to this one.
    """

    kind: ClassVar[str] = "word_before"
    word: WordIn
    """The set."""
    nearest: int = 1
    """1 is the token right before."""
    farthest: int = 1
    """At least `nearest`."""

    def compute(self, windows: Windows) -> Mask:
        ended = spelling(windows).ended(self.word.mask(windows))
        return windows.earlier(ended, self.nearest, self.farthest)

    def clause(self, detail: Detail = FULL) -> str:
        return f"{reach(self.nearest, self.farthest)} {self._whole(detail)}"

    def _whole(self, detail: Detail) -> str:
        if detail.deep <= 0:
            return "certain words"
        said = self.word.listed(detail)
        if not said.startswith(("'", '"')):
            return f"one of {said}"
        return f"the word {said}"

    @property
    def complexity(self) -> int:
        return 1 + self.word.complexity + (self.farthest > 8)

    def arguments(self) -> dict[str, Any]:
        where = {"nearest": self.nearest, "farthest": self.farthest}
        return {**self.word.arguments(), **where}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("words", "folded", "nearest", "farthest"), cls.kind)
        word = WordIn.parse({key: data[key] for key in ("words", "folded") if key in data})
        return cls(word, *fields.distances(data, cls.kind))
