"""Random rules of every kind, and random texts of every sort of tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar, get_args

import numpy as np

from tools.rules import (
    CLASSES,
    Affix,
    AllOf,
    Before,
    Branch,
    Condition,
    Enclosure,
    FirstTokens,
    Foreseen,
    InClass,
    Indented,
    Induced,
    Inside,
    LineStart,
    Not,
    Recurring,
    Repeated,
    Rule,
    SentenceStart,
    TokenIn,
    WordAffix,
    WordBefore,
    WordIn,
)

T = TypeVar("T")

SURFACES = (
    *(" import", "import", " Import", " os", "os", "im", "port", " the", "The", " x", "1", " 42"),
    *(".", "!", ",", "(", ")", " (", "[", "'", '"', ' "', '"""', "#", " //", "/*", "*/", "\\", ":"),
    *("\n", "\n    ", "    ", "\t", " ", "", ".\n\n", "\ufffd", " \ufffd", "caf", "é", "\u0301"),
    *("字", "。", "“", "”", "«", "»", "😀", "\u2028", "\ud800", "ß", "\0", "##ing", "a b", "self."),
    *(f" word{n}" for n in range(30)),
)
"""Marked and unmarked words, whitespace of its own, bytes that are no character, no spaces."""


class RuleMaker:
    """Draws conditions and rules from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._deep: dict[type[Condition], Callable[[int], Condition]] = {
            AllOf: lambda depth: AllOf(
                tuple(self.condition(depth - 1) for _ in range(self._number(1, 4)))
            ),
            Before: lambda depth: Before(self.condition(depth - 1), *self._distances()),
            Foreseen: lambda depth: Foreseen(self.condition(depth - 1)),
            Not: lambda depth: Not(self.condition(depth - 1)),
        }
        self._flat: dict[type[Condition], Callable[[], Condition]] = {
            Affix: lambda: Affix(self._text(), self._end()),
            FirstTokens: lambda: FirstTokens(self._number(1, 9)),
            InClass: lambda: InClass(self._picked(list(CLASSES))),
            Indented: lambda: Indented(self._number(1, 9)),
            Induced: Induced,
            Inside: lambda: Inside(self._picked(get_args(Enclosure))),
            LineStart: LineStart,
            Recurring: lambda: Recurring(*self._distances()),
            Repeated: Repeated,
            SentenceStart: SentenceStart,
            TokenIn: lambda: TokenIn(self._texts(40), self._flag()),
            WordAffix: lambda: WordAffix(self._text(), self._end()),
            WordBefore: lambda: WordBefore(self._words(), *self._distances()),
            WordIn: self._words,
        }
        assert {*self._deep, *self._flat} == set(Condition.kinds.values()), "a kind is left out"

    def kinds(self) -> list[Condition]:
        """One condition of each kind."""
        return [make() for make in self._flat.values()] + [make(1) for make in self._deep.values()]

    def condition(self, depth: int = 2) -> Condition:
        """A condition that is nested `depth` times at most."""
        kinds = len(self._flat) + (len(self._deep) if depth > 0 else 0)
        drawn = self._number(0, kinds)
        if drawn < len(self._flat):
            return list(self._flat.values())[drawn]()
        return list(self._deep.values())[drawn - len(self._flat)](depth)

    def rule(self, branches: int = 8, depth: int = 2) -> Rule:
        """A rule of at most so many branches."""
        number = self._number(1, branches + 1)
        strengths = self._random.random(number).round(2).tolist()
        return Rule(tuple(Branch(self.condition(depth), strength) for strength in strengths))

    def texts(self, number: int, longest: int = 40) -> list[list[str]]:
        """Texts as the surfaces of their tokens; some are empty."""
        return [list(self._texts(longest, least=0)) for _ in range(number)]

    def _words(self) -> WordIn:
        return WordIn(tuple(text.strip() or "x" for text in self._texts(12)), self._flag())

    def _texts(self, most: int, least: int = 1) -> tuple[str, ...]:
        return tuple(self._text() for _ in range(self._number(least, most + 1)))

    def _text(self) -> str:
        return self._picked([surface for surface in SURFACES if surface])

    def _end(self) -> Literal["start", "end"]:
        return self._picked(("start", "end"))

    def _flag(self) -> bool:
        return bool(self._number(0, 2))

    def _distances(self) -> tuple[int, int]:
        nearest = self._number(1, 5)
        return nearest, nearest + self._number(0, 9)

    def _number(self, least: int, beyond: int) -> int:
        return int(self._random.integers(least, beyond))

    def _picked(self, choices: Sequence[T]) -> T:
        return choices[self._number(0, len(choices))]
