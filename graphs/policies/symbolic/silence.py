"""What must NOT fire: near misses said as hypotheses of polarity `inactive`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from graphs.policies.symbolic.evidence import Evidence
from graphs.policies.symbolic.induction import FAINTEST
from tools.rules import (
    CLASSES,
    AllOf,
    Branch,
    Condition,
    InClass,
    Mask,
    Not,
    Rule,
    TokenIn,
    fold,
)

MOST_LISTED = 6
_FEWEST = 3
"""A silent thing must have been seen so often."""
_MOST = 2
"""Hypotheses of polarity `inactive`."""


def silent_rules(leaders: Sequence[Rule], evidence: Evidence) -> list[Rule]:
    """At least one rule for tokens that ought to stay silent, the most telling first."""
    found = [
        condition
        for condition in dict.fromkeys(_candidates(leaders, evidence))
        if _is_silent(condition, evidence)
    ]
    chosen = found[:_MOST] or [_commonest(evidence)]
    return [Rule((Branch(condition, 1.0),)) for condition in chosen]


def _candidates(leaders: Sequence[Rule], evidence: Evidence) -> Iterator[Condition]:
    firing = _tokens(evidence, evidence.target > FAINTEST)
    yield from _without_context(leaders)
    yield from _other_spellings(firing, evidence)
    yield from _siblings(firing, evidence)


def _is_silent(condition: Condition, evidence: Evidence) -> bool:
    mask = condition.mask(evidence.windows)
    return int(mask.sum()) >= _FEWEST and evidence.mean(mask) < FAINTEST


def _without_context(leaders: Sequence[Rule]) -> Iterator[Condition]:
    """A trigger where what the leading rule asks of its surroundings is missing."""
    for branch in leaders[0].branches if leaders else ():
        yield from _weakened(branch.condition)


def _weakened(condition: Condition) -> Iterator[Condition]:
    """Each conjunction with its last demand turned round."""
    if isinstance(condition, AllOf):
        *rest, last = condition.conditions
        turned = last.condition if isinstance(last, Not) else Not(last)
        yield AllOf((*rest, turned))


def _other_spellings(firing: Sequence[str], evidence: Evidence) -> Iterator[Condition]:
    """The same words with other capitals or another leading space."""
    words = {fold(surface) for surface in firing[:MOST_LISTED]}
    known = set(firing)
    variants = [s for s in _by_count(evidence) if fold(s) in words and s not in known]
    if variants:
        yield TokenIn(tuple(variants[:MOST_LISTED]))


def _siblings(firing: Sequence[str], evidence: Evidence) -> Iterator[Condition]:
    """Common tokens of the narrowest class that the triggers share, which stay silent."""
    top, known = firing[:MOST_LISTED], set(_tokens(evidence, evidence.target > 0))
    silent = [surface for surface in _by_count(evidence) if surface not in known]
    kinds = [kind for kind in CLASSES.values() if kind is not CLASSES["any"]]
    shared = [kind for kind in kinds if all(map(kind.holds, top))]
    for kind in sorted(shared, key=lambda kind: sum(map(kind.holds, silent))):
        members = [surface for surface in silent if kind.holds(surface)]
        if len(members) >= 2:
            yield TokenIn(tuple(members[:MOST_LISTED]))


def _commonest(evidence: Evidence) -> Condition:
    """The commonest silent tokens; for a feature that fires on everything, what fires least."""
    mean = _means(evidence)
    order = sorted(range(len(mean)), key=lambda code: (mean[code], code))
    surfaces = [evidence.windows.vocabulary[code] for code in order[:MOST_LISTED]]
    return TokenIn(tuple(surfaces)) if surfaces else InClass("undecodable")


def _tokens(evidence: Evidence, mask: Mask) -> list[str]:
    """Surfaces under `mask`, those with most activation first."""
    size = len(evidence.windows.vocabulary)
    here = evidence.windows.codes[mask]
    total = np.bincount(here, evidence.target[mask], size)
    present = np.bincount(here, minlength=size)
    order = np.argsort(-total, kind="stable")
    return [evidence.windows.vocabulary[code] for code in order.tolist() if present[code]]


def _by_count(evidence: Evidence) -> list[str]:
    counts = np.bincount(evidence.windows.codes, minlength=len(evidence.windows.vocabulary))
    order = np.argsort(-counts, kind="stable")
    return [evidence.windows.vocabulary[code] for code in order.tolist()]


def _means(evidence: Evidence) -> list[float]:
    size = len(evidence.windows.vocabulary)
    weight = np.bincount(evidence.windows.codes, evidence.weight, size)
    total = np.bincount(evidence.windows.codes, evidence.weight * evidence.target, size)
    return (total / np.maximum(weight, 1e-9)).tolist()
