"""What a hypothesis says, said and read back: tokens, a class of them, what comes before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from tests.llm_server.reading import HypothesisRow
from tools.rules import CLASSES, fold, visible

PIECE = re.compile(r"\s*\n[ \t]*| ?[^\W_]+| ?[^\w\s]|\s+|_")
"""Roughly a token; every text is the sum of its pieces."""
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)+)'|\"((?:[^\"\\]|\\.)+)\"")
_AFTER = re.compile(r" (?:right|directly|immediately|within \w+ tokens?)? ?after ")
_LINE_START = re.compile(r"line[ -]start|(?:start|beginning) of a line")
_GRADES = (0.7, 0.4, 0.2, 0.0)
"""Tokens as strong as the same of these share a branch."""
_FULL = 0.9
"""Strength of what is said without a measured one."""


@dataclass(frozen=True, slots=True)
class Idea:
    """Conditions that must all hold; an empty one asks for nothing."""

    tokens: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    """Texts of which one must stand right before."""
    token_class: str | None = None
    """A key of `tools.rules.CLASSES`."""
    quoted: bool = False
    line_start: bool = False
    silent: bool = False
    """Whether it says where the feature does not fire."""

    @property
    def polarity(self) -> str:
        """`active` or `inactive`."""
        return "inactive" if self.silent else "active"

    def statement(self) -> str:
        """The hypothesis in a sentence."""
        if self.tokens:
            noun = "the token " if len(self.tokens) == 1 else "the tokens "
            what = noun + _spelled(self.tokens, "and")
        else:
            what = CLASSES[self.token_class].noun if self.token_class else "any text"
        where = f" right after {_spelled(self.after, 'or')}" if self.after else ""
        where += " inside quotation marks" if self.quoted else ""
        where += " at the start of a line" if self.line_start else ""
        return f"{'Does not fire' if self.silent else 'Fires'} on {what}{where}."

    def rule(self, strengths: Mapping[str, float] | None = None) -> dict[str, Any]:
        """The idea as a FlatRule; tokens of about the same strength share a branch."""
        grades: dict[float, list[str]] = {}
        measured = {} if self.silent else strengths or {}
        for token in self.tokens:
            strength = measured.get(token, _FULL)
            grades.setdefault(next(g for g in _GRADES if strength >= g), []).append(token)
        branches = [
            self._branch(tokens, sum(measured.get(t, _FULL) for t in tokens) / len(tokens))
            for _, tokens in sorted(grades.items(), reverse=True)
        ]
        return {"branches": branches or [self._branch([], _FULL)]}

    def _branch(self, tokens: Sequence[str], strength: float) -> dict[str, Any]:
        return {
            "tokens": list(tokens),
            "words": [],
            "token_class": self.token_class,
            "starts_with": None,
            "ends_with": None,
            "after": list(self.after),
            "not_after": [],
            "after_words": [],
            "within": 1,
            "inside": "quotes" if self.quoted else None,
            "line_start": self.line_start,
            "sentence_start": False,
            "repeated": False,
            "strength": round(min(1.0, max(0.05, strength)), 2),
        }

    def holds(self, text: str, firing: Sequence[str] = ()) -> bool:
        """Whether it holds somewhere in a text that is known to contain the tokens `firing`."""
        plain = not (self.after or self.quoted or self.line_start or self.token_class)
        if plain and not set(self.tokens).isdisjoint(firing):
            return True
        return next(self.places(text), None) is not None

    def places(self, text: str, cut: Sequence[str] = ()) -> Iterator[int]:
        """Where in a text it holds: the position of each token that it speaks of.

        Args:
            text: what to look at.
            cut: its tokens where they are known, else what are roughly its tokens.
        """
        found = self._starts(text, cut or pieces(text))
        return (start for start in found if self._stands(text[:start]))

    def expects(self, text: str, firing: Sequence[str] = ()) -> str:
        """What it predicts of a text; one of polarity inactive has nothing else to fire on."""
        return "active" if self.holds(text, firing) != self.silent else "inactive"

    def _starts(self, text: str, cut: Sequence[str]) -> Iterator[int]:
        if self.tokens:
            yield from (start for token in self.tokens for start in spots(text, token))
            return
        holds = CLASSES[self.token_class].holds if self.token_class else CLASSES["any"].holds
        starts = accumulate(map(len, cut), initial=0)
        yield from (start for start, token in zip(starts, cut, strict=False) if holds(token))

    def _stands(self, before: str) -> bool:
        line = before.rpartition("\n")[2]
        return (
            (not self.after or before.endswith(self.after))
            and (not self.quoted or line.count('"') % 2 == 1)
            and (not self.line_start or not line.strip())
        )


def idea_of(row: HypothesisRow, known: Sequence[str]) -> Idea:
    """A hypothesis in words as an idea; `known` are tokens that it may speak of.

    One that is not understood is taken to mean all of them.
    """
    parts = [_AFTER.split(words, 1) for words in (row.statement, row.rule or "")]
    head = "\n".join(part[0] for part in parts)
    tail = "\n".join("".join(part[1:]) for part in parts)
    tokens = [token for token in known if visible(token) in head] or _quotes(head)
    idea = Idea(
        tokens=tuple(dict.fromkeys(tokens)),
        after=tuple(dict.fromkeys(_quotes(tail))),
        token_class=None if tokens else _class(head.replace("inside quotation marks", "")),
        quoted="inside quot" in head,
        line_start=_LINE_START.search(head + tail) is not None,
        silent=row.polarity == "inactive",
    )
    if idea.tokens or idea.token_class or idea.quoted or idea.line_start:
        return idea
    words = {word.casefold() for word in re.findall(r"\w+", head)}
    return replace(idea, tokens=tuple(t for t in known if fold(t) in words) or tuple(known))


def _class(words: str) -> str | None:
    named = (name for name, c in CLASSES.items() if name != "any" and c.noun in words)
    return max(named, key=lambda name: len(CLASSES[name].noun), default=None)


def pieces(text: str) -> list[str]:
    """A text cut into what are roughly its tokens."""
    return PIECE.findall(text)


def spots(text: str, token: str) -> Iterator[int]:
    """Where a token seems to stand in a text; a word does not stand in a longer one."""
    start = text.find(token) if token else -1
    while start >= 0:
        end = start + len(token)
        if not (token[-1].isalnum() and text[end : end + 1].isalnum()):
            yield start
        start = text.find(token, start + 1)


def _spelled(tokens: Sequence[str], joint: str) -> str:
    shown = [visible(token) for token in tokens]
    return f" {joint} ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _quotes(words: str) -> list[str]:
    return [_unescaped(single or double) for single, double in _QUOTED.findall(words)]


def _unescaped(quoted: str) -> str:
    try:
        return quoted.encode("ascii").decode("unicode_escape") if "\\" in quoted else quoted
    except UnicodeError:
        return quoted
