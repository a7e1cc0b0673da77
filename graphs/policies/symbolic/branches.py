"""Branches put together: strengths that can be said, lists pooled, no token said in vain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tools.rules import AllOf, Before, Branch, Condition, Not, TokenIn, WordIn, fold

_ABOUT_EQUAL = 0.06
"""Strengths closer than this are not told apart in words."""


def listed(branches: Iterable[Branch]) -> int:
    """Tokens that branches name."""
    return sum(_listed(branch.condition) for branch in branches)


def _listed(condition: Condition) -> int:
    if isinstance(condition, TokenIn):
        return len(condition.tokens)
    if isinstance(condition, WordIn):
        return len(condition.words)
    if isinstance(condition, AllOf):
        return sum(map(_listed, condition.conditions))
    return _listed(condition.condition) if isinstance(condition, Not | Before) else 0


def unrepeated(branches: Iterable[Branch]) -> list[Branch]:
    """The branches, the loudest first, without tokens for which a louder one speaks anyway."""
    kept: list[Branch] = []
    louder: list[TokenIn] = []
    for branch in sorted(branches, key=lambda branch: -branch.strength):
        condition = _without(branch.condition, louder)
        if condition is not None:
            kept.append(Branch(condition, branch.strength))
            if isinstance(condition, TokenIn):
                louder.append(condition)
    return kept


def _without(condition: Condition, louder: Sequence[TokenIn]) -> Condition | None:
    """The condition with shorter lists; None if a list has no token left."""
    if isinstance(condition, TokenIn):
        spoken = (
            any(_speaks_for(token, condition, other) for other in louder)
            for token in condition.tokens
        )
        left = tuple(
            token for token, known in zip(condition.tokens, spoken, strict=True) if not known
        )
        return replace(condition, tokens=left) if left else None
    if isinstance(condition, AllOf):
        parts = [_without(part, louder) for part in condition.conditions]
        known = tuple(part for part in parts if part is not None)
        return AllOf(known) if len(known) == len(parts) else None
    return condition


def _speaks_for(token: str, condition: TokenIn, other: TokenIn) -> bool:
    """Whether `other` holds wherever the condition does because of a token."""
    if other.folded:
        return fold(token) in other.members
    return not condition.folded and token in other.members


def pooled(branches: Sequence[Branch]) -> list[Branch]:
    """Token sets of nearly the same strength said as one."""
    pooled: list[Branch] = []
    for branch in sorted(branches, key=lambda branch: -branch.strength):
        index = next((i for i, other in enumerate(pooled) if _can_pool(other, branch)), None)
        if index is None:
            pooled.append(branch)
        else:
            pooled[index] = _union(pooled[index], branch)
    return pooled


def _can_pool(one: Branch, other: Branch) -> bool:
    a, b = one.condition, other.condition
    alike = isinstance(a, TokenIn) and isinstance(b, TokenIn) and a.folded == b.folded
    return alike and abs(one.strength - other.strength) <= _ABOUT_EQUAL


def _union(one: Branch, other: Branch) -> Branch:
    """Both token sets at their mean strength, each token counting once."""
    a, b = one.condition, other.condition
    assert isinstance(a, TokenIn), "only token sets are pooled"
    assert isinstance(b, TokenIn), "only token sets are pooled"
    sizes = len(a.tokens), len(b.tokens)
    mean = (one.strength * sizes[0] + other.strength * sizes[1]) / sum(sizes)
    return Branch(TokenIn((*a.tokens, *b.tokens), a.folded), rounded(mean))


def rounded(strength: float) -> float:
    """Two decimals: more would claim a precision that few tokens do not give."""
    return round(min(max(strength, 0.0), 1.0), 2)
