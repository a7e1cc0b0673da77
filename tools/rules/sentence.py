"""Rules in words: the strongest first, what all branches share once, never longer than readable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tools.rules.condition import Condition
from tools.rules.detail import DETAILS, Detail
from tools.rules.logic import AllOf, Not
from tools.rules.surface import InClass, TokenIn
from tools.rules.wording import count, listing

MOST_WORDS = 45
"""Words of a sentence, so that with all that is put before it a description has 60 at most."""

_GRADES = ((0.8, ""), (0.5, "less strongly on "), (0.25, "weakly on "), (0.0, "faintly on "))
"""A branch's share of the strongest one, and what is said of it from there on."""


@dataclass(frozen=True, slots=True)
class _Grade:
    """Conditions about equally strong."""

    name: str
    conditions: tuple[Condition, ...]

    def said(self, detail: Detail) -> str:
        """Short phrases first: what is said of the last one is not taken to be said of all."""
        parts = sorted(
            ((isinstance(c, AllOf) or c.noun(detail) is None, c) for c in pooled(self.conditions)),
            key=lambda part: part[0],
        )
        phrases = [condition.phrase(detail) for _, condition in parts]
        joint = ", and" if any(apart for apart, _ in parts) and len(parts) > 1 else "and"
        return self.name + listing(phrases, joint)


def sentence(branches: Sequence[tuple[Condition, float]]) -> str:
    """What branches with these strengths say, to follow `fires on`.

    Args:
        branches: conditions with their strengths, the strongest first.

    Returns:
        `the token ' import'; less strongly on numbers`, at most `MOST_WORDS` words: longer sets
        are summed up, then weaker branches, then what is nested.
    """
    conditions, shared = _parted([condition for condition, _ in branches])
    grades = _grades(conditions, [strength for _, strength in branches])
    for said in _tries(grades, shared):
        if len(said.split()) <= MOST_WORDS:
            return said
    return f"tokens that meet {count(len(branches), 'combination')} of conditions"


def _tries(grades: Sequence[_Grade], shared: Sequence[Condition]) -> Iterator[str]:
    """Sentences that say less and less."""
    yield from _grade_by_grade(grades, shared, DETAILS[:3])
    yield from _grade_by_grade(grades, shared, DETAILS[3:4])
    yield from _loudest(grades, shared, DETAILS[:4])
    yield from _grade_by_grade(grades, shared, DETAILS[4:])


def _grade_by_grade(
    grades: Sequence[_Grade], shared: Sequence[Condition], details: Sequence[Detail]
) -> Iterator[str]:
    """The first grades whole."""
    for whole in range(len(grades), 0, -1):
        for detail in details:
            parts = [grade.said(detail) for grade in grades[:whole]]
            rest = ["more weakly on other tokens"] if whole < len(grades) else []
            yield "; ".join([*parts, *rest, *_shared_in_words(shared, detail)])


def _loudest(
    grades: Sequence[_Grade], shared: Sequence[Condition], details: Sequence[Detail]
) -> Iterator[str]:
    """The first conditions of the first grade: a few in full tell more than all by halves."""
    loudest = grades[0].conditions
    n_conditions = sum(len(grade.conditions) for grade in grades)
    for number in range(len(loudest) - 1, 0, -1):
        rest = f"also on {count(n_conditions - number, 'other combination')} of conditions"
        for detail in details:
            part = _Grade(grades[0].name, loudest[:number]).said(detail)
            yield "; ".join([part, rest, *_shared_in_words(shared, detail)])


def _parted(conditions: Sequence[Condition]) -> tuple[list[Condition], list[Condition]]:
    """The conditions without the clauses that all of them have, and those clauses."""
    sets = [c.conditions if isinstance(c, AllOf) else (c,) for c in conditions]
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


def _grades(conditions: Sequence[Condition], strengths: Sequence[float]) -> list[_Grade]:
    grades: dict[str, list[Condition]] = {}
    for condition, strength in zip(conditions, strengths, strict=True):
        share = strength / strengths[0] if strengths[0] else 1.0
        name = next(name for least, name in _GRADES if share >= least)
        grades.setdefault(name, []).append(condition)
    return [_Grade(name, tuple(found)) for name, found in grades.items()]


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
