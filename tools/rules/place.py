"""Conditions on where the token stands in the text, on its line, in its sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from tools.rules import fields
from tools.rules.automaton import PREFIX, START, WORD, Automaton
from tools.rules.condition import Condition
from tools.rules.detail import FULL, Detail
from tools.rules.spelling import is_word_character
from tools.rules.vocabulary import Vocabulary
from tools.rules.windows import Mask, Windows
from tools.rules.wording import count


@dataclass(frozen=True, slots=True)
class FirstTokens(Condition):
    """The token is among the first of the text."""

    kind: ClassVar[str] = "first_tokens"
    count: int
    """How many tokens from the start of the text."""

    def compute(self, windows: Windows) -> Mask:
        return windows.positions < self.count

    def clause(self, detail: Detail = FULL) -> str:
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
        last_word = np.maximum(windows.latest(~blank), outside)
        last_break = np.maximum(windows.latest(breaks), outside)
        return ~blank & ((last_break >= last_word) | opens)

    def clause(self, detail: Detail = FULL) -> str:
        return "at the start of a line"


_BEGINS, _WITHIN, _STOPPED, _BROKEN = START, 1, 2, 3
_STOPS = frozenset(".!?\u2026")
_FULL_STOPS = frozenset("\u3002\uff01\uff1f")
_CLOSERS = frozenset("\"')]}\u2019\u201d\u00bb*_")


def _sentence_step(state: int, char: str) -> int:
    """States: a word would begin a sentence, within one, behind a stop, behind a line break."""
    if char in (WORD, PREFIX, "\ufffd"):
        return _WITHIN
    if state == _BEGINS or char in _FULL_STOPS:
        return _BEGINS
    if char.isspace():
        ends = state == _STOPPED or (state == _BROKEN and char == "\n")
        return _BEGINS if ends else _BROKEN if char == "\n" else state
    if char in _STOPS or (state == _STOPPED and char in _CLOSERS):
        return _STOPPED
    return _WITHIN


_SENTENCES = Automaton(4, _sentence_step)


@dataclass(frozen=True, slots=True)
class SentenceStart(Condition):
    """The token has the first word of a sentence, or its first piece.

    A sentence begins with the text, behind an empty line, and behind a full stop, question or
    exclamation mark that whitespace follows; closing marks may come between.
    """

    kind: ClassVar[str] = "sentence_start"

    def compute(self, windows: Windows) -> Mask:
        table = windows.vocabulary.table(SentenceStart, _begins)
        return table[windows.codes, _SENTENCES.before(windows)]

    def clause(self, detail: Detail = FULL) -> str:
        return "at the start of a sentence"


def _begins(vocabulary: Vocabulary) -> Mask:
    """Whether each surface begins a sentence, by the state before it; (n_surfaces, n_states)."""
    table = np.zeros((len(vocabulary), _SENTENCES.states), dtype=bool)
    known: dict[str, list[bool]] = {}
    for code, surface in enumerate(vocabulary):
        first = next((i for i, char in enumerate(surface) if is_word_character(char)), None)
        if first is None:
            continue
        lead = surface[:first]
        if lead not in known:
            ends = (_SENTENCES.through(lead, state) for state in range(_SENTENCES.states))
            known[lead] = [end == _BEGINS for end in ends]
        table[code] = known[lead]
    return table


@dataclass(frozen=True, slots=True)
class Indented(Condition):
    """The token stands on a line that began with whitespace; one with a line break, on the next."""

    kind: ClassVar[str] = "indented"
    least: int
    """Characters of whitespace, a tab being one, that the line began with at least."""

    def compute(self, windows: Windows) -> Mask:
        breaks = windows.surfaces(lambda surface: "\n" in surface)
        written = windows.surfaces(lambda surface: _last_line(surface).strip() != "")
        line = np.maximum(windows.latest(breaks, 0), windows.starts)
        # Whitespace behind something written on the line is no indentation.
        leads = breaks | (np.maximum(windows.latest(written), windows.starts - 1) < line)
        width = np.where(leads, windows.numbers(_indentation), 0)
        total = np.cumsum(width)
        return total - total[line] + width[line] >= self.least

    def clause(self, detail: Detail = FULL) -> str:
        return f"on a line indented by {count(self.least, 'character')} or more"

    def arguments(self) -> dict[str, Any]:
        return {"least": self.least}

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        fields.closed(data, ("least",), cls.kind)
        return cls(fields.positive(data, "least", cls.kind))


def _indentation(surface: str) -> int:
    """Width of the whitespace that begins the last line of a surface."""
    last = _last_line(surface)
    return len(last) - len(last.lstrip())


def _last_line(surface: str) -> str:
    return surface.rsplit("\n", 1)[-1]
