"""The background: kinds of tokens on which a feature fires faintly, where its rule says nothing.

A feature that fires a little on very many tokens is not told by what it fires on loudly alone: in
most texts there is nothing of that.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs.policies.symbolic.evidence import Evidence, Floats, weighted_mean
from graphs.policies.symbolic.texts import SILENT
from graphs.policies.symbolic.whereabouts import classes
from tools.rules import Branch, Condition, Rule

_SHARE = 0.1
"""Most that is said of the background, as a share of what the rule says loudest; and no more than
what is predicted to be inactive, `SILENT`."""
_MOST = 4
_LEAST = 0.0005
"""Share of the squared activation that a kind of tokens must explain."""


class _Kind(NamedTuple):
    """A kind of tokens, and those of them of which the rule says nothing."""

    condition: Condition
    here: NDArray[np.intp]
    target: Floats
    """Shape (n_here,), as the weights in the two halves of the sources."""
    halves: tuple[Floats, Floats]

    @property
    def mean(self) -> float:
        """Mean activation of these tokens."""
        return weighted_mean(self.halves[0] + self.halves[1], self.target)

    def gain(self, before: Floats, most: float) -> float:
        """Squared error that each half's mean, `most` at most, takes away in the other.

        Args:
            before: what is predicted so far, shape (n_here,).
            most: of what may be said.
        """
        gain = 0.0
        for weight, other in (self.halves, self.halves[::-1]):
            after = np.maximum(before, min(weighted_mean(other, self.target), most))
            gain += float(weight @ ((self.target - before) ** 2 - (self.target - after) ** 2))
        return gain


def with_background(rule: Rule, evidence: Evidence) -> Rule:
    """The rule, and how faintly the feature fires on a few kinds of other tokens.

    Args:
        rule: what is said already.
        evidence: what was measured, tokens as common as in the corpus.
    """
    predicted = rule.predict_windows(evidence.windows).astype(np.float64)
    kinds = _kinds(predicted == 0, evidence)
    most = min(SILENT, _SHARE * rule.strength)
    found: list[Branch] = []
    while kinds and len(found) < _MOST:
        gains = [kind.gain(predicted[kind.here], most) for kind in kinds]
        best = kinds.pop(int(np.argmax(gains)))
        strength = round(min(best.mean, most), 3)
        if max(gains) < _LEAST * evidence.mass or not strength:
            break
        found.append(Branch(best.condition, strength))
        predicted[best.here] = np.maximum(predicted[best.here], strength)
    return Rule((*rule.branches, *found))


def _kinds(unsaid: NDArray[np.bool_], evidence: Evidence) -> list[_Kind]:
    one, other = evidence.halves
    places = ((kind, np.flatnonzero(kind.mask(evidence.windows) & unsaid)) for kind in classes())
    return [
        _Kind(kind, here, evidence.target[here], (one[here], other[here]))
        for kind, here in places
        if len(here)
    ]
