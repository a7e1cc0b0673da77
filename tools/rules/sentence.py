"""Rules in words: what explains most first, what all share once, never longer than readable."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from tools.rules.condition import Condition
from tools.rules.detail import DETAILS, Detail
from tools.rules.logic import AllOf, Not
from tools.rules.surface import InClass, TokenIn
from tools.rules.wording import count, listing

MOST_WORDS = 45
"""Words of a sentence, so that with all that is put before it a description has 60 at most."""

_GRADES = (0.8, 0.5, 0.25, 0.0)
"""Least shares of the strongest branch at which strengths are said alike."""
_LOUDER = ("more strongly on ", "most strongly on ")
"""What is said of a grade above the one that is said first, and of the strongest of several."""
_QUIETER = ("", "less strongly on ", "weakly on ", "faintly on ")
"""What is said of a grade by how many grades it is below the one that is said first."""
_VAGUENESS = (0.0, 0.01, 0.02, 0.06, 0.5, 0.7, 0.9)
"""What each of `DETAILS` leaves open, in shares of the activation that could be said instead."""
_TEDIUM = 0.02
"""Share of the activation from which a branch is worth its words."""
_MUCH = 0.25
"""Share of the activation from which it is said that nothing is said of it."""
_SAME = "these tokens"
"""Said in place of a list that was said before, if it has..."""
_LONG = 5
"""...so many words or more."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What a rule says of some tokens."""

    condition: Condition
    grade: int
    """How strongly they fire: an index of `_GRADES`."""
    share: float
    """Of the activation, if shares are known; else of the strengths."""

    def apart(self, detail: Detail) -> bool:
        """Whether more is said of them than what they are."""
        return isinstance(self.condition, AllOf) or self.condition.noun(detail) is None


def sentence(
    branches: Sequence[tuple[Condition, float]],
    shares: Sequence[float] | None = None,
    most_words: int = MOST_WORDS,
) -> str:
    """What branches with these strengths say, to follow `fires on`.

    Args:
        branches: conditions with their strengths, the strongest first.
        shares: how much of the feature's activation each branch explains. What explains most is
            said first then, else what is strongest.
        most_words: 10 at least.

    Returns:
        `the token ' import'; less strongly on numbers`, in so many words at most: as much of the
        activation, and that as exactly, as they can say.
    """
    telling = _Telling(_parts(branches, shares), known=shares is not None)
    return telling.best(most_words) or f"tokens that meet {count(len(branches), 'combination')}"


def _parts(
    branches: Sequence[tuple[Condition, float]], shares: Sequence[float] | None
) -> list[_Part]:
    """The branches, first those that should rather be said than what comes after them."""
    loudest = max(strength for _, strength in branches)
    total = sum(strength for _, strength in branches) or 1.0
    weights = shares or [strength / total for _, strength in branches]
    parts = [
        _Part(condition, _grade_of(strength / loudest if loudest else 1.0), weight)
        for (condition, strength), weight in zip(branches, weights, strict=True)
    ]
    return parts if shares is None else sorted(parts, key=lambda part: -part.share)


def _grade_of(strength: float) -> int:
    return next(grade for grade, least in enumerate(_GRADES) if strength >= least)


@dataclass(frozen=True, slots=True)
class _Telling:
    """What there is to say."""

    parts: Sequence[_Part]
    """The most important first."""
    known: bool
    """Whether it is known what explains how much."""

    def best(self, most_words: int) -> str | None:
        """What leaves least open in so many words; None if nothing can be said in them."""
        tedium = _TEDIUM if self.known else 0.0
        worthy = max(1, sum(part.share > tedium for part in self.parts))
        told = [0.0, *accumulate(part.share for part in self.parts[:worthy])]
        least, best = math.inf, None
        for vague, detail in zip(_VAGUENESS, DETAILS, strict=True):
            if vague - told[worthy] >= least:
                break
            number = self._number(worthy, detail, most_words)
            if number and vague - told[number] < least:
                least, best = vague - told[number], self.said(number, detail)
        return best

    def _number(self, most: int, detail: Detail, most_words: int) -> int:
        """How many parts can be said: with more to say, a sentence hardly gets shorter."""

        def too_long(number: int) -> bool:
            return len(self.said(number, detail).split()) > most_words

        return most if not too_long(most) else bisect_left(range(1, most), True, key=too_long)

    def said(self, number: int, detail: Detail) -> str:
        """The first parts in words."""
        conditions, shared = _parted([part.condition for part in self.parts[:number]])
        parts = [
            replace(part, condition=condition)
            for part, condition in zip(self.parts[:number], conditions, strict=True)
        ]
        grades = [
            name + _grade_in_words([part for part in parts if part.grade == grade], detail)
            for name, grade in self._order(parts)
        ]
        said = "; ".join([*grades, *_shared_in_words(shared, detail)])
        return "; ".join([_unrepeated(said, conditions, detail), *self._rest(number)])

    def _order(self, said: Sequence[_Part]) -> list[tuple[str, int]]:
        """What is put before each grade; the one that explains most comes first."""
        grades = sorted({part.grade for part in said})
        first = max(grades, key=lambda grade: self._weight(grade, said))
        several = grades.index(first) > 1
        others = [grade for grade in grades if grade != first]
        names = [
            _LOUDER[several and grade == grades[0]] if grade < first else _QUIETER[grade - first]
            for grade in others
        ]
        return [("", first), *zip(names, others, strict=True)]

    def _weight(self, grade: int, said: Sequence[_Part]) -> float:
        return sum(part.share for part in said if part.grade == grade) if self.known else -grade

    def _rest(self, number: int) -> list[str]:
        """How much is not said."""
        if not self.known:
            left = len(self.parts) - number
            other = "another thing" if left == 1 else count(left, "other thing")
            return [f"also on {other}"] if left else []
        tenths = round(10 - 10 * sum(part.share for part in self.parts[:number]))
        much = f"about {10 * tenths}%" if tenths < 10 else "nearly all"
        return [f"{much} of its activation is left open"] if tenths >= 10 * _MUCH else []


def _grade_in_words(parts: Sequence[_Part], detail: Detail) -> str:
    """Conditions about equally strong.

    Short phrases come first: what is said of the last one is not taken to be said of all.
    """
    joined = [replace(parts[0], condition=c) for c in pooled([p.condition for p in parts])]
    joined.sort(key=lambda part: part.apart(detail))
    joint = ", and" if any(part.apart(detail) for part in joined) and len(joined) > 1 else "and"
    return listing([part.condition.phrase(detail) for part in joined], joint)


def _unrepeated(said: str, conditions: Sequence[Condition], detail: Detail) -> str:
    """The sentence with a long list of tokens said once, if only one is said again."""
    parts = {part for condition in conditions for part in _conditions_of(condition)}
    sets = [part for part in parts if isinstance(part, TokenIn) and len(part.tokens) > 1]
    lists = [noun for tokens in sets if said.count(noun := tokens.noun(detail)) > 1]
    if len(lists) != 1 or len(lists[0].split()) < _LONG:
        return said
    before, _, after = said.partition(lists[0])
    return before + lists[0] + after.replace(lists[0], _SAME)


def _conditions_of(condition: Condition) -> tuple[Condition, ...]:
    return condition.conditions if isinstance(condition, AllOf) else (condition,)


def _parted(conditions: Sequence[Condition]) -> tuple[list[Condition], list[Condition]]:
    """The conditions without the clauses that all of them have, and those clauses."""
    sets = list(map(_conditions_of, conditions))
    shared = [c for c in sets[0] if c.noun() is None and all(c in other for other in sets[1:])]
    if len(sets) < 2 or not shared:
        return list(conditions), []
    rests = [tuple(c for c in each if c not in shared) for each in sets]
    return [_conjunction(rest) for rest in rests], shared


def _conjunction(conditions: tuple[Condition, ...]) -> Condition:
    if not conditions:
        return InClass("any")
    return conditions[0] if len(conditions) == 1 else AllOf(conditions)


def _shared_in_words(shared: Sequence[Condition], detail: Detail) -> list[str]:
    said, left = shared[: detail.joined], len(shared[detail.joined :])
    demands = [c.clause(detail) for c in said if not isinstance(c, Not)]
    if left:
        demands.append(f"under {count(left, 'further condition')}")
    exceptions = [c.exception(detail) for c in said if isinstance(c, Not)]
    parts = [f"all of it only {listing(demands)}"] if demands else []
    return parts + ([f"but not {listing(exceptions, 'or')}"] if exceptions else [])


def pooled(conditions: Sequence[Condition]) -> list[Condition]:
    """The same conditions with token sets joined: the strengths within a grade are not said."""
    joined: dict[object, Condition] = {}
    for condition in conditions:
        key = ("tokens", condition.folded) if isinstance(condition, TokenIn) else condition
        known = joined.get(key)
        if isinstance(known, TokenIn) and isinstance(condition, TokenIn):
            condition = TokenIn((*known.tokens, *condition.tokens), condition.folded)
        joined[key] = condition
    return list(joined.values())
