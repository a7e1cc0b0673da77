"""The background: kinds of tokens on which a feature fires faintly, where its rule says nothing.

A feature that fires a little on very many tokens is not told by what it fires on loudly alone: in
most texts there is nothing of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs.policies.symbolic.evidence import Evidence, Floats, weighted_mean
from graphs.policies.symbolic.whereabouts import classes
from tools.rules import Branch, Condition, Rule

FAINT = 0.05
"""Most that is said of the background: what is no louder is predicted to be inactive."""
_SHARE = 0.1
"""The same as a share of what the rule says loudest."""
_MOST = 4
_LEAST = 0.0005
"""Share of the squared activation that a kind of tokens must explain."""


class _Kind(NamedTuple):
    """A kind of tokens, and those of them of which the rule says nothing."""

    condition: Condition
    here: NDArray[np.intp]


def with_background(rule: Rule, evidence: Evidence) -> Rule:
    """The rule, and how faintly the feature fires on a few kinds of other tokens.

    Args:
        rule: what is said already.
        evidence: what was measured, tokens as common as in the corpus.
    """
    predicted = rule.predict_windows(evidence.windows).astype(np.float64)
    kinds = _kinds(predicted == 0, evidence)
    most = min(FAINT, _SHARE * rule.strength)
    found: list[Branch] = []
    while kinds and len(found) < _MOST:
        gains = [_gain(kind.here, predicted, evidence, most) for kind in kinds]
        best = kinds.pop(int(np.argmax(gains)))
        mean = weighted_mean(evidence.weight[best.here], evidence.target[best.here])
        strength = round(min(mean, most), 3)
        if max(gains) < _LEAST * evidence.mass or not strength:
            break
        found.append(Branch(best.condition, strength))
        predicted[best.here] = np.maximum(predicted[best.here], strength)
    return Rule((*rule.branches, *found))


def _kinds(unsaid: NDArray[np.bool_], evidence: Evidence) -> list[_Kind]:
    masks = ((kind, kind.mask(evidence.windows) & unsaid) for kind in classes())
    return [_Kind(kind, np.flatnonzero(mask)) for kind, mask in masks if mask.any()]


def _gain(here: NDArray[np.intp], predicted: Floats, evidence: Evidence, most: float) -> float:
    """Squared error that the mean of one half of the sources takes away in the other, and back."""
    target, before = evidence.target[here], predicted[here]
    halves: Sequence[Floats] = [half[here] for half in evidence.halves]
    gain = 0.0
    for weight, other in (halves, halves[::-1]):
        after = np.maximum(before, min(weighted_mean(other, target), most))
        gain += float(weight @ ((target - before) ** 2 - (target - after) ** 2))
    return gain
