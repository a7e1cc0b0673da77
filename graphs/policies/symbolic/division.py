"""Dividing a condition where context decides: what came before, or where the token stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs.policies.symbolic.evidence import Evidence, Floats
from tools.rules import AllOf, Condition, InClass, Not

_FEWEST = 3
"""Tokens on each side of a division."""


class Split(NamedTuple):
    """A condition divided by another one."""

    inside: Condition
    """The louder part."""
    outside: Condition
    """The quieter part."""


def best_split(
    condition: Condition, literals: Sequence[Condition], evidence: Evidence
) -> Split | None:
    """The literal that best divides a condition into loud and quiet, if one pays for itself."""
    here = np.flatnonzero(condition.mask(evidence.windows))
    if not len(literals) or len(here) < 2 * _FEWEST:
        return None
    masks = np.stack([literal.mask(evidence.windows)[here] for literal in literals])
    prices = evidence.price * np.array([literal.complexity for literal in literals])
    value = _split_gains(masks, here, evidence) / (evidence.mass or 1.0) - prices
    best = int(np.argmax(value))
    if value[best] <= 0:
        return None
    inner, literal = masks[best], literals[best]
    louder = evidence.mean(here[inner]) >= evidence.mean(here[~inner])
    parts = (meet(condition, literal), meet(condition, Not(literal)))
    inside, outside = parts if louder else parts[::-1]
    return Split(inside, outside)


def _split_gains(masks: NDArray[np.bool_], here: NDArray[np.intp], evidence: Evidence) -> Floats:
    """Squared error that dividing the tokens `here` by each of `masks` takes away.

    Each half of the sources is predicted with the means of the other half.
    """
    first, second = ([weight[here], evidence.target[here]] for weight in evidence.halves)
    sums = [_sums(masks, weight, target) for weight, target in (first, second)]
    enough = np.minimum(masks.sum(axis=1), (~masks).sum(axis=1)) >= _FEWEST
    gains = _transferred(sums[0], sums[1]) + _transferred(sums[1], sums[0])
    return np.where(enough, gains, -np.inf)


class _Sums(NamedTuple):
    """Weight and weighted activation inside and outside of each mask; shape (n_masks,)."""

    inner: Floats
    inner_total: Floats
    outer: Floats
    outer_total: Floats


def _sums(masks: NDArray[np.bool_], weight: Floats, target: Floats) -> _Sums:
    inner, inner_total = (masks.astype(np.float64) @ np.stack([weight, weight * target], axis=1)).T
    return _Sums(inner, inner_total, weight.sum() - inner, weight @ target - inner_total)


def _transferred(learned: _Sums, tried: _Sums) -> Floats:
    """Error that the means of one half take away from the other, beyond an undivided mean."""

    def gain(weight: Floats, total: Floats, mean: Floats) -> Floats:
        return 2 * mean * total - mean**2 * weight

    inner_mean = learned.inner_total / np.maximum(learned.inner, 1e-9)
    outer_mean = learned.outer_total / np.maximum(learned.outer, 1e-9)
    total, weight = learned.inner_total + learned.outer_total, learned.inner + learned.outer
    mean = total / np.maximum(weight, 1e-9)
    return (
        gain(tried.inner, tried.inner_total, inner_mean)
        + gain(tried.outer, tried.outer_total, outer_mean)
        - gain(tried.inner + tried.outer, tried.inner_total + tried.outer_total, mean)
    )


def meet(condition: Condition, other: Condition) -> Condition:
    """Conjunction, flat, with exceptions last, as it is said; being a token demands nothing."""
    parts = dict.fromkeys(p for p in (*_parts(condition), *_parts(other)) if p != InClass("any"))
    if len(parts) == 1:
        return next(iter(parts))
    return AllOf(tuple(sorted(parts, key=lambda part: isinstance(part, Not))))


def _parts(condition: Condition) -> tuple[Condition, ...]:
    return condition.conditions if isinstance(condition, AllOf) else (condition,)
