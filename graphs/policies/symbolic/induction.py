"""Greedy induction: choose the branches of a rule that explain most for what they cost to say."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence

import numpy as np

from graphs.policies.symbolic.branches import pooled, rounded, unrepeated
from graphs.policies.symbolic.evidence import PRICE, Evidence, Floats, weighted_mean
from tools.rules import Branch, Condition, Mask, Rule, TokenIn

FAINTEST = 0.05
"""A branch weaker than this is not worth saying."""
MOST_BRANCHES = 24
"""Most branches, a single token counting as one; they are pooled before they are said."""
_LEAST = 0.01
"""The least strength that two decimals can say."""


def worth(rule: Rule, evidence: Evidence) -> float:
    """Explained share of the squared activation, less what the rule costs to say beside it."""
    explained = evidence.explained(rule)
    return explained - PRICE * rule.complexity * max(explained, 0.0)


def cost(condition: Condition, evidence: Evidence) -> float:
    """Share of the squared activation that a condition must explain to be said.

    The strengths of tokens were counted over the whole propose split; anything else was found in
    a few windows, where much can be found by chance.
    """
    if isinstance(condition, TokenIn) and not condition.folded:
        return PRICE * len(condition.tokens)
    return evidence.price * condition.complexity


def select(
    pool: Iterable[Branch], evidence: Evidence, start: Sequence[Branch] = ()
) -> tuple[Branch, ...]:
    """Add branches from `pool`, the most worthwhile first, until none pays for itself."""
    chosen = list(start)
    predicted = np.zeros(len(evidence.windows))
    for branch in chosen:
        predicted = np.maximum(predicted, branch.strength * branch.condition.mask(evidence.windows))
    # What a branch adds only shrinks as others are chosen: the best of old values comes first, and
    # is the best if it still is when computed anew.
    candidates = list(dict.fromkeys(pool))
    queue = [(-math.inf, index) for index in range(len(candidates))]
    while queue and len(chosen) < MOST_BRANCHES:
        index = heapq.heappop(queue)[1]
        branch, value = _valued(candidates[index], predicted, evidence)
        if value <= 0 or branch.strength < FAINTEST:
            continue
        if queue and -value > queue[0][0]:
            heapq.heappush(queue, (-value, index))
            continue
        chosen.append(branch)
        mask = branch.condition.mask(evidence.windows)
        predicted = np.maximum(predicted, branch.strength * mask)
    return pruned(chosen, evidence)


def pruned(branches: Sequence[Branch], evidence: Evidence) -> tuple[Branch, ...]:
    """Without the branches that later ones made superfluous."""
    kept = list(branches)
    for branch in branches:
        rest = [other for other in kept if other != branch]
        if rest and worth(Rule(tuple(rest)), evidence) >= worth(Rule(tuple(kept)), evidence):
            kept = rest
    return tuple(kept)


def _valued(candidate: Branch, predicted: Floats, evidence: Evidence) -> tuple[Branch, float]:
    branch, gain = _fitted(candidate, predicted, evidence)
    return branch, gain / (evidence.mass or 1.0) - cost(branch.condition, evidence)


def _fitted(candidate: Branch, predicted: Floats, evidence: Evidence) -> tuple[Branch, float]:
    """The branch with the better of two strengths, and the squared error it takes away.

    Where other branches already speak for its strongest tokens, a broad branch should say how
    strong the rest is. The error is taken on each half of the sources with the strength that the
    other half gives; a token set keeps the strength that the whole corpus gave.
    """
    mask = candidate.condition.mask(evidence.windows)
    if isinstance(candidate.condition, TokenIn):
        return candidate, _gain(mask, mask, candidate.strength, predicted, evidence)
    parts = (mask, mask & (predicted == 0))
    gains = [_gain(mask, part, None, predicted, evidence) for part in parts]
    best = int(np.argmax(gains))
    return Branch(candidate.condition, rounded(evidence.mean(parts[best]))), gains[best]


def _gain(
    mask: Mask, part: Mask, known: float | None, predicted: Floats, evidence: Evidence
) -> float:
    """Squared error that raising the predictions under `mask` takes away.

    Args:
        mask: the tokens whose prediction is raised.
        part: the tokens that the strength is estimated from.
        known: the strength, where it need not be estimated.
        predicted: what is predicted so far.
        evidence: what was measured.
    """
    gain = 0.0
    target, before = evidence.target[mask], predicted[mask]
    for here, there in (evidence.halves, evidence.halves[::-1]):
        strength = known if known is not None else weighted_mean(there[part], evidence.target[part])
        after = np.maximum(before, strength)
        gain += float(here[mask] @ ((target - before) ** 2 - (target - after) ** 2))
    return gain


def branch_for(condition: Condition, evidence: Evidence) -> Branch:
    """A branch with the strength that was measured."""
    return Branch(condition, rounded(evidence.strength(condition)))


def refitted(branches: Sequence[Branch], evidence: Evidence) -> list[Branch]:
    """The branches with the strengths that were measured where no louder one speaks.

    One that never speaks keeps its strength.
    """
    spoken = np.zeros(len(evidence.windows), np.bool_)
    fitted: dict[Branch, Branch] = {}
    for branch in sorted(branches, key=lambda branch: -branch.strength):
        mask = branch.condition.mask(evidence.windows)
        own = mask & ~spoken
        known = bool(own.any())
        fitted[branch] = Branch(branch.condition, rounded(evidence.mean(own))) if known else branch
        spoken |= mask
    return [fitted[branch] for branch in branches]


def shares(rule: Rule, evidence: Evidence) -> list[float]:
    """Share of the squared activation that each branch explains where no louder one speaks."""
    left = np.ones(len(evidence.windows), np.bool_)
    found: list[float] = []
    for branch in rule.branches:
        mask = branch.condition.mask(evidence.windows)
        weight, target = evidence.weight[mask & left], evidence.target[mask & left]
        taken = float(weight @ (target**2 - (target - branch.strength) ** 2))
        found.append(max(taken, 0.0) / (evidence.mass or 1.0))
        left &= ~mask
    return found


def as_rule(branches: Iterable[Branch]) -> Rule | None:
    """A rule of the branches that are worth saying; None when none is."""
    found = list(dict.fromkeys(branches))
    # A feature that fires on a token now and then is faint everywhere: say what there is.
    least = min(FAINTEST, 0.5 * max((branch.strength for branch in found), default=0.0))
    said = [branch for branch in found if branch.strength >= max(least, _LEAST)]
    return Rule(tuple(pooled(unrepeated(said)))) if said else None
