"""The vocabulary of induction: conditions worth trying, mined from where a feature fires."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from graphs.policies.symbolic.evidence import Evidence, Floats
from tools.rules import (
    CLASSES,
    Affix,
    Before,
    Condition,
    InClass,
    Mask,
    TokenIn,
)

OFFSETS = (1, 2, 3)
"""Distances at which a single earlier token is looked at."""
REACHES = (4, 8, 16)
"""Numbers of tokens to look back for a word anywhere before. Of longer stretches every one has some
word that few others have: they tell documents apart."""
LONGEST_CONTEXT_LIST = 6
"""Most tokens in a set of earlier tokens."""
_FEWEST_BEARERS = 3
"""An affix must be seen on so many different tokens that fire."""
_FEWEST_SOURCES = 2
"""An earlier token must have been seen in so many documents, or it is left to chance."""
_LEAST_PART = 0.03
"""Part of a set's worth that each of its tokens must bring."""
_MOST_AFFIXES = 48
_LONGEST_AFFIX = 4
_REMEMBERED = 65_536
"""Surfaces whose affixes are remembered: features share most of them."""
_WORDS_TRIED = 24
_SAMPLED = 300
"""Tokens whose surroundings are looked at, evenly spaced: enough to find the common words."""


def kinds_of_token(evidence: Evidence) -> list[Condition]:
    """Classes, beginnings and endings that some firing token has."""
    firing = evidence.windows.spelled(np.unique(evidence.windows.codes[evidence.target > 0]))
    classes = [InClass(name) for name, kind in CLASSES.items() if any(map(kind.holds, firing))]
    return [*classes, *affixes(firing)]


def affixes(firing: Sequence[str]) -> list[Affix]:
    """Beginnings and endings that several of some surfaces have, the most telling first."""
    bearers = Counter(affix for surface in firing for affix in affixes_of(surface))
    shared = [affix for affix, count in bearers.items() if count >= _FEWEST_BEARERS]
    shared.sort(key=lambda affix: -bearers[affix] * len(affix.text))
    return shared[:_MOST_AFFIXES]


@lru_cache(maxsize=_REMEMBERED)
def affixes_of(surface: str) -> tuple[Affix, ...]:
    """What a surface begins and ends with."""
    body = surface.lstrip(" ")
    lengths = range(1, min(_LONGEST_AFFIX + 1, len(body)))
    starts = (Affix(body[:length], "start") for length in lengths)
    return (*starts, *(Affix(body[-length:], "end") for length in lengths))


def surroundings(evidence: Evidence, base: Mask) -> list[Condition]:
    """Conditions on earlier tokens that may tell where within `base` the feature fires."""
    sets = [c for offset in OFFSETS for c in _preceding_sets(evidence, base, offset)]
    kinds = [InClass(name) for name in CLASSES if name != "any"]
    classes = [Before(kind, 1, farthest) for kind in kinds for farthest in (1, 4)]
    # Of two that say the same, the first is taken: plain tokens before classes.
    return [*sets, *_words_before(evidence, base), *classes]


def _preceding_sets(evidence: Evidence, base: Mask, offset: int) -> Iterator[Condition]:
    """The sets of tokens at one offset that best divide `base` into loud and silent.

    Ordering the values of a category by their mean makes every best split a prefix of the order
    (Breiman et al., 1984, section 4.2), so that few sets need to be looked at.
    """
    here = np.flatnonzero(base & (evidence.windows.positions >= offset))
    if len(here) < 2:
        return
    earlier = evidence.windows.codes[here - offset]
    size = len(evidence.windows.vocabulary)
    weight = np.bincount(earlier, evidence.weight[here], size)
    total = np.bincount(earlier, evidence.weight[here] * evidence.target[here], size)
    overall = float(total.sum() / max(weight.sum(), 1e-9))
    # One pseudo-occurrence at the overall mean keeps tokens seen once from looking perfect.
    excess = (total + overall) / (weight + 1) - overall
    gain = weight * excess * np.abs(excess)
    gain[_sources_of(earlier, evidence.source[here], size) < _FEWEST_SOURCES] = 0.0
    for louder in (gain, -gain):
        least = _LEAST_PART * float(louder[louder > 0].sum())
        order = np.argsort(-louder, kind="stable")[:LONGEST_CONTEXT_LIST]
        chosen = [int(code) for code in order if louder[code] > least]
        for length in _lengths(len(chosen)):
            surfaces = evidence.windows.spelled(chosen[:length])
            yield Before(TokenIn(tuple(surfaces)), offset, offset)


def _sources_of(
    codes: NDArray[np.int64], sources: NDArray[np.int64], size: int
) -> NDArray[np.int64]:
    """Number of different sources in which each code occurs; shape (size,)."""
    pairs = np.unique(np.stack([codes, sources]), axis=1)
    return np.bincount(pairs[0], minlength=size)


def _lengths(most: int) -> list[int]:
    return [length for length in (1, 2, 4) if length < most] + ([most] if most else [])


def _words_before(evidence: Evidence, base: Mask) -> Iterator[Condition]:
    """Words anywhere before that are commoner before loud tokens of `base` than before others."""
    level = evidence.mean(base)
    loud = _seen_before(evidence, np.flatnonzero(base & (evidence.target > level)))
    quiet = _seen_before(evidence, np.flatnonzero(base & (evidence.target <= level)))
    for difference in (loud - quiet, quiet - loud):
        order = np.argsort(-difference, kind="stable")[:_WORDS_TRIED]
        for code in order.tolist():
            if difference[code] <= 0:
                break
            word = TokenIn(tuple(evidence.windows.spelled([code])))
            yield from (Before(word, 1, reach) for reach in REACHES)


def _seen_before(evidence: Evidence, here: NDArray[np.intp], reach: int = 16) -> Floats:
    """Share of the tokens at `here` that have each surface among the `reach` tokens before."""
    windows = evidence.windows
    seen = np.zeros(len(windows.vocabulary))
    here = here[:: max(1, len(here) // _SAMPLED)]
    for index in here.tolist():
        begin = max(index - reach, index - int(windows.positions[index]))
        seen[np.unique(windows.codes[begin:index])] += 1
    return seen / max(len(here), 1)
