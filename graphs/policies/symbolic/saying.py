"""A tree as a rule: no more conditions than its parts need to be told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from graphs.policies.symbolic.branches import rounded, unrepeated
from graphs.policies.symbolic.induction import FAINTEST
from graphs.policies.symbolic.tree import Node
from tools.rules import AllOf, Branch, Condition, InClass, Not, TokenIn


class _Step(NamedTuple):
    """A condition on the way to a part, whether it holds there, and what is on the other side."""

    condition: Condition
    holds: bool
    other: Node


def as_branches(root: Node) -> list[Branch]:
    """A branch for each part of a tree that is worth saying."""
    loudest = max(leaf.strength for leaf in root.leaves())
    # A feature that fires now and then is faint everywhere: say what there is.
    least = min(FAINTEST, 0.5 * loudest)
    return unrepeated(list(_branches(root, (), least)))


def _branches(node: Node, steps: tuple[_Step, ...], least: float) -> Iterator[Branch]:
    if node.condition is None:
        if strength := _said(node, least):
            # The loudest branch that holds counts: what is louder needs no exception.
            louder = [step for step in steps if _lowest(step.other, least) >= strength]
            condition = _meeting(steps, louder)
            if condition is not None:
                yield Branch(condition, strength)
        return
    inside, outside = node.parts
    yield from _branches(inside, (*steps, _Step(node.condition, True, outside)), least)
    yield from _branches(outside, (*steps, _Step(node.condition, False, inside)), least)


def _said(leaf: Node, least: float) -> float:
    return rounded(leaf.strength) if leaf.strength >= least else 0.0


def _lowest(node: Node, least: float) -> float:
    return min(_said(leaf, least) for leaf in node.leaves())


def _meeting(steps: Sequence[_Step], louder: Sequence[_Step]) -> Condition | None:
    """All that is needed at once, token sets merged into one; None if no token is left.

    Args:
        steps: what is met on the way.
        louder: those whose other side is at least as loud.
    """
    listed: list[str] | None = None
    excepted: dict[str, None] = {}
    others: list[Condition] = []
    for step in steps:
        condition = step.condition
        if not isinstance(condition, TokenIn) or condition.folded:
            if step not in louder:
                others.append(condition if step.holds else Not(condition))
        elif not step.holds:
            # A list becomes shorter by what is said elsewhere; anything else becomes longer.
            if listed is not None or step not in louder:
                excepted.update(dict.fromkeys(condition.tokens))
        elif step not in louder:
            known = condition.tokens if listed is None else listed
            listed = [token for token in known if token in condition.members]
    if listed is not None:
        left = tuple(token for token in listed if token not in excepted)
        return _all((TokenIn(left), *others)) if left else None
    return _all((*others, *([Not(TokenIn(tuple(excepted)))] if excepted else [])))


def _all(conditions: Sequence[Condition]) -> Condition:
    """A conjunction as it is said, exceptions last."""
    parts = sorted(dict.fromkeys(conditions), key=lambda part: isinstance(part, Not))
    if not parts:
        return InClass("any")
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))
