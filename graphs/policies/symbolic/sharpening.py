"""Sharpening: what a rule is surest of, divided by context until it holds nearly every time.

The strength of a branch is a mean. One of 0.6 may be a token that always fires at 0.6, or one that
fires fully in some contexts and hardly at all in others: then the context is to be said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs.policies.symbolic.division import meet
from graphs.policies.symbolic.evidence import Evidence, Floats, weighted_mean
from graphs.policies.symbolic.literals import surroundings
from graphs.policies.symbolic.whereabouts import classes, places
from tools.rules import Branch, Condition, Not, Rule

SURE = 0.9
"""Share of what a rule says clearly fires that is to be active when measured."""
_STRONG = 0.8
"""A claim is strong where a rule says so much of its own strongest."""
_MOST_STEPS = 3
_LIKELY = 3
"""Divisions of each branch that are held against each other."""
_FEWEST = 5
"""Tokens on each side of a division."""
_PLAIN = 0.01
"""Share by which a context must be surer to be said with one more condition or token."""


class _Division(NamedTuple):
    """A branch divided by a context."""

    whole: Branch
    parts: tuple[Branch, Branch]

    def of(self, rule: Rule) -> Rule:
        """The rule with the parts in place of the whole."""
        kept = (branch for branch in rule.branches if branch != self.whole)
        return Rule((*kept, *self.parts))


def sureness(rule: Rule, evidence: Evidence, active: float) -> float:
    """Share of a rule's strong claims that hold, in [0, 1]; 1 if it makes none.

    Args:
        rule: what is said.
        evidence: what was measured.
        active: activation from which a token fires, in units of the feature's scale.
    """
    claimed = rule.predict_windows(evidence.windows) >= _STRONG * rule.strength
    held = (evidence.target[claimed] >= active).astype(np.float64)
    return weighted_mean(evidence.weight[claimed], held) if len(held) else 1.0


def sharpened(
    rule: Rule, evidence: Evidence, active: float, fitted: Callable[[Rule], Rule]
) -> Rule:
    """The rule with strong branches divided for as long as that makes it surer; else as it is.

    Args:
        rule: where to begin.
        evidence: what was measured.
        active: activation from which a token fires, in units of the feature's scale.
        fitted: gives a rule its strengths.
    """
    surest = partial(sureness, evidence=evidence, active=active)
    for _ in range(_MOST_STEPS):
        if surest(rule) >= SURE:
            break
        divided = [fitted(d.of(rule)) for d in _divisions(rule, evidence, active)]
        best = max(divided, key=surest, default=rule)
        if surest(best) <= surest(rule):
            break
        rule = best
    return rule


def _divisions(rule: Rule, evidence: Evidence, active: float) -> Iterator[_Division]:
    """The surest divisions of each branch that strong claims rest on."""
    for branch in rule.branches:
        mask = branch.condition.mask(evidence.windows)
        if branch.strength < _STRONG * rule.strength or mask.sum() < 2 * _FEWEST:
            continue
        literals: list[Condition] = [*surroundings(evidence, mask), *places(), *classes()]
        here = np.flatnonzero(mask)
        holds = np.stack([literal.mask(evidence.windows)[here] for literal in literals])
        prices = _PLAIN * np.array([literal.complexity for literal in literals])
        values = np.maximum(*(_sure(m, here, evidence, active) for m in (holds, ~holds))) - prices
        likely: list[int] = np.argsort(-values, kind="stable")[:_LIKELY].tolist()
        for number in likely:
            if np.isfinite(values[number]):
                yield _Division(branch, _parts(branch, literals[number]))


def _parts(branch: Branch, literal: Condition) -> tuple[Branch, Branch]:
    """The branch where a context holds, and where it does not."""
    inside, outside = (meet(branch.condition, part) for part in (literal, Not(literal)))
    return Branch(inside, branch.strength), Branch(outside, branch.strength)


def _sure(
    masks: NDArray[np.bool_], here: NDArray[np.intp], evidence: Evidence, active: float
) -> Floats:
    """How sure it is that the tokens `here` under each of `masks` fire; shape (n_masks,).

    By Laplace's rule of succession, so that few are not taken for sure, and in that half of the
    sources where it is less: what holds in one alone is chance.
    """
    held = evidence.target[here] >= active
    shares: list[Floats] = []
    for half in evidence.halves:
        weight = half[here]
        counts = masks.astype(np.float64) @ np.stack([weight, weight * held], axis=1)
        shares.append((counts[:, 1] + 1) / (counts[:, 0] + 2))
    enough = np.minimum(masks.sum(axis=1), (~masks).sum(axis=1)) >= _FEWEST
    return np.where(enough, np.minimum(*shares), -np.inf)
