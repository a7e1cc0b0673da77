"""Variants of a rule: what else the evidence may mean, one thing said otherwise.

They are the nearest rivals that a rule has. Experiments are chosen where they disagree, and what
was measured picks one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np

from graphs.policies.symbolic.branches import rounded
from graphs.policies.symbolic.division import meet
from graphs.policies.symbolic.evidence import Evidence, Floats
from graphs.policies.symbolic.induction import as_rule, cost, refitted, worth
from tools.rules import (
    CLASSES,
    AllOf,
    Before,
    Branch,
    Condition,
    FirstTokens,
    InClass,
    Mask,
    Not,
    Rule,
    TokenIn,
)

REACHES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32)
"""How far back a word may stand, or how many tokens a text's start may have."""
_SHARED = 0.6
"""Share of a set's tokens that a class must hold to be tried in its place."""
_SILENT = 0.05
"""Mean activation up to which a member of a class counts as one that does not fire."""
_FEWEST = 2
"""Occurrences in which a token must be silent to be an exception."""
_MOST_EXCEPTIONS = 4
_MOST_STEPS = 6
_LEAST_GAIN = 0.002
"""Share of the squared activation below which another step is not worth taking."""


class Variant(NamedTuple):
    """A rule and what it explains of the evidence, less what it costs to say."""

    rule: Rule
    worth: float


def improved(rule: Rule, evidence: Evidence, unseen: Evidence) -> Rule:
    """The rule after the best changes, one after the other, as long as they hold elsewhere.

    Args:
        rule: where to begin.
        evidence: what the changes are chosen by.
        unseen: other measurements. Of so many changes some fit `evidence` by chance; one that
            explains less of these is the last.
    """
    best = Variant(rule, worth(rule, evidence))
    for _ in range(_MOST_STEPS):
        step = next(variants(best.rule, evidence))
        if step.worth < best.worth + _LEAST_GAIN:
            break
        if worth(step.rule, unseen) < worth(best.rule, unseen):
            break
        best = step
    return best.rule


def variants(rule: Rule, evidence: Evidence) -> Iterator[Variant]:
    """The rule and its variants, strengths as measured, the most worthwhile first, each once.

    Of many, few are asked for: each is put in order as a rule when its turn comes.
    """
    given: set[Rule] = set()
    for option in sorted(_options(rule, evidence), key=lambda option: -option.worth):
        made = as_rule(option.branches) if option.edited else Rule(option.branches)
        if made is not None and made not in given:
            given.add(made)
            yield Variant(made, option.worth)


class _Option(NamedTuple):
    """Branches of a variant, and what they explain for what they cost to say."""

    branches: tuple[Branch, ...]
    worth: float
    edited: bool
    """Whether they are to be put in order: what a hypothesis says is taken as it stands."""


def _options(rule: Rule, evidence: Evidence) -> Iterator[_Option]:
    branches = list(rule.branches)
    prices = [cost(branch.condition, evidence) for branch in branches]
    mass = evidence.mass or 1.0
    for said in (branches, refitted(branches, evidence)):
        error = evidence.error(_predicted(said, evidence))
        yield _Option(tuple(said), 1.0 - error / mass - sum(prices), edited=False)
    for index, edited in enumerate(branches):
        others = branches[:index] + branches[index + 1 :]
        price = sum(prices) - prices[index]
        rest = _predicted(others, evidence)
        left = evidence.error(rest)
        if others:
            yield _Option(tuple(others), 1.0 - left / mass - price, edited=True)
        for condition in dict.fromkeys(_edited(edited.condition, evidence)):
            branch, gain = _spoken(condition, edited.strength, rest, evidence)
            value = 1.0 - (left - gain) / mass - price - cost(condition, evidence)
            yield _Option((*others, branch), value, edited=True)


def _spoken(
    condition: Condition, loudest: float, rest: Floats, evidence: Evidence
) -> tuple[Branch, float]:
    """A condition with its strength, and the squared error that it takes from the other branches'.

    Args:
        condition: what a branch is made of.
        loudest: where the others say more than that, they speak for themselves.
        rest: what the others predict, shape (n_tokens,).
        evidence: what was measured.
    """
    held = np.flatnonzero(condition.mask(evidence.windows))
    before = rest[held]
    strength = rounded(evidence.mean(held[before <= loudest]))
    target = evidence.target[held]
    after = np.maximum(before, strength)
    gain = evidence.weight[held] @ ((target - before) ** 2 - (target - after) ** 2)
    return Branch(condition, strength), float(gain)


def _predicted(branches: Sequence[Branch], evidence: Evidence) -> Floats:
    predicted = np.zeros(len(evidence.windows))
    for branch in branches:
        mask = branch.condition.mask(evidence.windows)
        np.maximum(predicted, branch.strength * mask, out=predicted)
    return predicted


def _edited(condition: Condition, evidence: Evidence) -> Iterator[Condition]:
    """The condition with one thing said otherwise, as a whole branch."""
    yield from _otherwise(condition, evidence)
    if condition.noun() is None or isinstance(condition, AllOf):
        # Where it stands is known, what it is perhaps not.
        for name, kind in reversed(CLASSES.items()):
            if kind is not CLASSES["any"]:
                yield meet(InClass(name), condition)
    members = _silent_members(condition.mask(evidence.windows), evidence)
    if members:
        yield meet(condition, Not(TokenIn(tuple(members))))


def _otherwise(condition: Condition, evidence: Evidence) -> Iterator[Condition]:
    """The condition with one thing said otherwise, wherever in it that is."""
    match condition:
        case AllOf(parts):
            for index, part in enumerate(parts):
                rest = parts[:index] + parts[index + 1 :]
                yield _all_of(rest)
                for other in _otherwise(part, evidence):
                    yield _all_of((*rest, other))
        case Not(inner):
            for other in _otherwise(inner, evidence):
                yield Not(other)
        case Before(inner, nearest, farthest):
            for other in _otherwise(inner, evidence):
                yield Before(other, nearest, farthest)
            for reach in REACHES:
                if reach >= nearest:
                    yield replace(condition, farthest=reach)
        case FirstTokens():
            yield from map(FirstTokens, REACHES)
        case TokenIn() | InClass():
            yield from _other_tokens(condition)
        case _:
            return


def _all_of(parts: Sequence[Condition]) -> Condition:
    met: Condition = InClass("any")
    for part in parts:
        met = meet(met, part)
    return met


def _other_tokens(condition: TokenIn | InClass) -> Iterator[Condition]:
    """Another set of tokens: a class that most of them share, other spellings, one fewer.

    Of two classes that explain the same, the first is taken: the one that says more.
    """
    for name, kind in reversed(CLASSES.items()):
        if isinstance(condition, InClass) or _shared(condition.tokens, kind.holds) >= _SHARED:
            yield InClass(name)
    if isinstance(condition, TokenIn):
        yield TokenIn(condition.tokens, not condition.folded)
        if len(condition.tokens) > 1:
            for token in condition.tokens:
                rest = tuple(other for other in condition.tokens if other != token)
                yield TokenIn(rest, condition.folded)


def _shared(tokens: Sequence[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, tokens)) / max(1, len(tokens))


def _silent_members(mask: Mask, evidence: Evidence) -> list[str]:
    """Tokens under `mask` that stay silent, the commonest first, if there are few of them."""
    size = len(evidence.windows.vocabulary)
    codes, weight = evidence.windows.codes[mask], evidence.weight[mask]
    mass = np.bincount(codes, weight, size)
    total = np.bincount(codes, weight * evidence.target[mask], size)
    seen = np.bincount(codes, minlength=size) >= _FEWEST
    silent = np.flatnonzero(seen & (total <= _SILENT * mass))
    order = silent[np.argsort(-mass[silent], kind="stable")]
    return list(islice(evidence.windows.spelled(order.tolist()), _MOST_EXCEPTIONS))
