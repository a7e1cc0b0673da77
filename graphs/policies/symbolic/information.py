"""What a text would tell: how far weighted rivals disagree on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import merge
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs.policies.symbolic.evidence import Evidence, Floats
from graphs.policies.symbolic.texts import ACTIVE_SHARE
from graphs.policies.symbolic.variants import Variant, variants
from tools.rules import Rule, Windows

CONSIDERED = 16
"""Rules that texts are held against."""
_DOUBT = 0.05
"""Worth by which a rule must fall behind to be about a third as likely: the evidence is of few
documents, and what explains it best may still be wrong."""
_AGAIN = 0.5
"""What a text counts after another one that the same rules disagree on in the same way."""


class Believed(NamedTuple):
    """A rule and how likely it is that it is the right one of those considered."""

    rule: Rule
    weight: float


def believed(rules: Sequence[Rule], evidence: Evidence) -> list[Believed]:
    """Rules and their variants with weights that sum to 1, most likely first."""
    each = (variants(rule, evidence) for rule in rules)
    kept = _distinct(merge(*each, key=lambda variant: -variant.worth), evidence)
    odds = np.exp((np.array([v.worth for v in kept]) - kept[0].worth) / _DOUBT)
    return [Believed(v.rule, float(w)) for v, w in zip(kept, odds / odds.sum(), strict=True)]


def _distinct(ranked: Iterable[Variant], evidence: Evidence) -> list[Variant]:
    """The best that say something different of some token of the evidence."""
    kept: dict[bytes, Variant] = {}
    for variant in ranked:
        said = fires(variant.rule, evidence.windows)
        kept.setdefault(np.packbits(said).tobytes(), variant)
        if len(kept) == CONSIDERED:
            break
    return list(kept.values())


def fires(rule: Rule, windows: Windows) -> NDArray[np.bool_]:
    """Tokens that a rule says clearly fire; shape (n_tokens,)."""
    return rule.predict_windows(windows) >= max(ACTIVE_SHARE * rule.strength, 1e-6)


def most_telling(
    texts: Sequence[Sequence[str]], rivals: Sequence[Believed], count: int
) -> list[int]:
    """Indices of at most `count` texts on whose last token the rivals disagree, the best first.

    What a measurement without noise tells of the rivals is the entropy of its outcome (Lindley,
    1956): that of the weight of those that expect the token to fire. It falls with every text
    chosen before that divides them in the same way.
    """
    if not texts:
        return []
    windows = Windows.of(texts)
    ends = np.append(np.flatnonzero(windows.positions == 0)[1:], len(windows)) - 1
    votes = np.stack([fires(rival.rule, windows)[ends] for rival in rivals])
    told = _entropy(np.array([r.weight for r in rivals]) @ votes)
    patterns = [np.packbits(column).tobytes() for column in votes.T]
    chosen: list[int] = []
    taken: dict[bytes, int] = {}
    left = dict.fromkeys(np.flatnonzero(told > 0).tolist())
    while left and len(chosen) < count:
        best = max(left, key=lambda i: told[i] * _AGAIN ** taken.get(patterns[i], 0))
        del left[best]
        chosen.append(best)
        taken[patterns[best]] = taken.get(patterns[best], 0) + 1
    return chosen


def _entropy(share: Floats) -> Floats:
    """Of a yes or no, in bits; shape as `share`."""
    p = np.clip(share, 1e-12, 1 - 1e-12)
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return np.where((share < 1e-9) | (share > 1 - 1e-9), 0.0, entropy)
