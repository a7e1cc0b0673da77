"""What divisions of a set of tokens are worth, from sums that every division shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from graphs.policies.symbolic.evidence import Evidence, Floats
from graphs.policies.symbolic.literals import OFFSETS, REACHES, affixes, affixes_of
from graphs.policies.symbolic.whereabouts import classes, whereabouts
from tools.rules import CLASSES, Affix, Condition, Windows, fold
from tools.rules.spelling import spelling

T = TypeVar("T")

Sums = Floats
"""Shape (..., 4): weight and weighted activation in each of the two halves of the sources."""
FIRST, SECOND = 0, 2
"""Where the sums of each half begin."""
CERTAINTY = 1.25
"""Standard errors over documents by which a gain must exceed chance."""
FAR = 255
"""Tokens since something that was seen too long ago to be looked at, or never."""
_REMEMBERED = 65_536
"""Surfaces whose classes are remembered: features share most of them."""


def gains(inner: Sums, total: Sums) -> Floats:
    """Squared error that dividing `total` into `inner` and the rest takes away; shape (...).

    Each half of the sources is predicted with the means of the other half, so that what holds in
    one of them alone is worth nothing.
    """
    return gain_of(inner, total, FIRST, SECOND) + gain_of(inner, total, SECOND, FIRST)


def gain_of(inner: Sums, total: Sums, learned: int, tried: int) -> Floats:
    """What means learned on one half take away from the error on the other."""

    def part(sums: Sums) -> Floats:
        mean = sums[..., learned + 1] / np.maximum(sums[..., learned], 1e-9)
        return 2 * mean * sums[..., tried + 1] - mean**2 * sums[..., tried]

    return part(inner) + part(total - inner) - part(total)


def _mean(sums: Sums, learned: int) -> float:
    return float(sums[learned + 1] / max(sums[learned], 1e-9))


def weight_of(sums: Sums) -> Floats:
    """Weight of both halves."""
    return sums[..., FIRST] + sums[..., SECOND]


def mean_of(sums: Sums) -> Floats:
    """Mean activation of both halves; 0 without any weight."""
    return (sums[..., FIRST + 1] + sums[..., SECOND + 1]) / np.maximum(weight_of(sums), 1e-9)


class Tally(NamedTuple):
    """Sums over some tokens, by what they are and what stands before them."""

    total: Sums
    """Shape (4,)."""
    own: Sums
    """Shape (n_surfaces, 4): by the token's surface."""
    words: Sums
    """Shape (n_words, 4): by the word so far; the first is for none."""
    before: Sums
    """Shape (n_offsets, n_surfaces, 4): by the surface so many tokens before."""
    placed: Sums
    """Shape (n_whereabouts, 4): of the tokens that meet each condition on where they stand."""

    def without(self, part: Tally) -> Tally:
        """The sums over the other tokens."""
        return Tally(*(mine - theirs for mine, theirs in zip(self, part, strict=True)))


class Folded(NamedTuple):
    """Texts that are counted as one."""

    texts: tuple[str, ...]
    """The distinct ones."""
    codes: NDArray[np.int64]
    """Shape (n_unfolded,): which of them each text becomes."""

    @classmethod
    def of(cls, folding: Callable[[str], str], texts: Sequence[str]) -> Folded:
        """Some texts folded."""
        index: dict[str, int] = {}
        codes = [index.setdefault(folding(text), len(index)) for text in texts]
        return cls(tuple(index), np.array(codes, np.int64))

    def sums(self, unfolded: Sums) -> Sums:
        """Sums by folded text; shape (n_folded, 4)."""
        return _summed(self.codes, unfolded, len(self.texts))


class Tallies:
    """Takes sums over sets of tokens of one body of evidence."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        odd = evidence.source % 2 == 1
        loud = evidence.weight * evidence.target
        columns = (evidence.weight * odd, loud * odd, evidence.weight * ~odd, loud * ~odd)
        self.columns: Sums = np.stack(columns, axis=1)
        """Shape (n_tokens, 4)."""
        windows = evidence.windows
        firing = windows.spelled(np.unique(windows.codes[evidence.target > 0]))
        found = affixes(firing)
        self.spelling = spelling(windows)
        self.folded = Folded.of(fold, windows.vocabulary)
        """The surfaces without case and leading space."""
        self.folded_words = Folded.of(str.casefold, self.spelling.words)
        """The words so far without case."""
        self.classes = classes()
        self.kinds: list[Condition] = [*self.classes, *found]
        self.class_table = _class_table(windows.vocabulary)
        """Shape (n_classes, n_surfaces): which surfaces are of which class."""
        self.kind_table = np.concatenate(
            [self.class_table, _affix_table(found, windows.vocabulary)]
        )
        self.whereabouts = whereabouts()
        self._masks = np.stack([condition.mask(windows) for condition in self.whereabouts])
        self._distances: dict[int, NDArray[np.uint8]] = {}
        everything = np.arange(len(windows))
        self.everything = everything, self.of(everything)
        """All tokens, and the sums over them."""
        self._of_everything: dict[str, Any] = {}

    def once(self, name: str, here: NDArray[np.intp], find: Callable[[], T]) -> T:
        """What `find` gives for the tokens `here`; if they are all, it is asked once for a name."""
        if here is not self.everything[0]:
            return find()
        if name not in self._of_everything:
            self._of_everything[name] = find()
        return self._of_everything[name]

    def of(self, here: NDArray[np.intp]) -> Tally:
        """Sums over the tokens of these indices."""
        windows = self.evidence.windows
        before = [
            self._by_surface(within, windows.codes[within - offset])
            for offset in OFFSETS
            for within in (here[windows.positions[here] >= offset],)
        ]
        return Tally(
            total=self.columns[here].sum(axis=0),
            own=self._by_surface(here, windows.codes[here]),
            words=self._by_word(here),
            before=np.stack(before),
            placed=self._masks[:, here].astype(np.float64) @ self.columns[here],
        )

    def least_gain(self, condition: Condition, here: NDArray[np.intp]) -> float:
        """The gain of a division of some tokens less `CERTAINTY` standard errors over documents.

        So what one document alone speaks for is worth nothing.
        """
        evidence, held = self.evidence, condition.mask(self.evidence.windows)[here]
        inner, total = self.columns[here[held]].sum(axis=0), self.columns[here].sum(axis=0)
        target, odd = evidence.target[here], evidence.source[here] % 2 == 1
        gained = np.zeros(len(here))
        for half, learned in ((odd, SECOND), (~odd, FIRST)):
            means = [_mean(sums, learned) for sums in (inner, total - inner, total)]
            divided = np.where(held[half], means[0], means[1])
            gained[half] = (target[half] - means[2]) ** 2 - (target[half] - divided) ** 2
        # Experiments are one source, numbered below 0.
        gains = np.bincount(evidence.source[here] + 1, evidence.weight[here] * gained)
        return float(gains.sum() - CERTAINTY * np.sqrt(gains @ gains))

    def since(self, code: int) -> NDArray[np.uint8]:
        """How many tokens before each one a surface was last seen, or `FAR`; shape (n_tokens,)."""
        if code not in self._distances:
            self._distances[code] = _distances(self.evidence.windows, code)
        return self._distances[code]

    def _by_word(self, here: NDArray[np.intp]) -> Sums:
        return _summed(self.spelling.codes[here], self.columns[here], len(self.spelling.words))

    def _by_surface(self, here: NDArray[np.intp], codes: NDArray[np.int64]) -> Sums:
        return _summed(codes, self.columns[here], len(self.evidence.windows.vocabulary))


def _summed(codes: NDArray[np.int64], columns: Sums, size: int) -> Sums:
    """Sums of each column by code; shape (size, 4)."""
    by_code = [np.bincount(codes, column, size) for column in columns.T]
    return np.stack(by_code, axis=1).astype(np.float64)


def _distances(windows: Windows, code: int) -> NDArray[np.uint8]:
    distance = np.full(len(windows), FAR, np.uint8)
    seen = np.flatnonzero(windows.codes == code)
    # The nearest has the last word.
    for reach in range(max(REACHES), 0, -1):
        after = seen[seen < len(windows) - reach] + reach
        distance[after[windows.positions[after] >= reach]] = reach
    return distance


def _class_table(vocabulary: Sequence[str]) -> Floats:
    return np.array([_classes_of(surface) for surface in vocabulary], np.float64).T


@lru_cache(maxsize=_REMEMBERED)
def _classes_of(surface: str) -> tuple[bool, ...]:
    """Whether a surface is of each class, in the order of `classes`."""
    return tuple(kind.holds(surface) for name, kind in CLASSES.items() if name != "any")


def _affix_table(found: Sequence[Affix], vocabulary: Sequence[str]) -> Floats:
    rows = {affix: row for row, affix in enumerate(found)}
    table = np.zeros((len(found), len(vocabulary)))
    for column, surface in enumerate(vocabulary):
        for affix in affixes_of(surface):
            if affix in rows:
                table[rows[affix], column] = 1.0
    return table
