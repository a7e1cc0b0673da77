"""Where a feature is silent, and where it is although something looks as if it should fire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.draws.drawn import Stretch
from evaluation.exam import Exam
from evaluation.held_out import FeatureText

SHARE = 0.1
"""A token looks alike from this share of the largest mean activation that any token has."""

ALIKE, SEEN = 2, 1
"""Classes of tokens: those that look alike, and others on which the feature ever fired."""


@dataclass(frozen=True, slots=True, eq=False)
class Silence:
    """Stretches of single windows on which every activation was measured to be zero."""

    begins: NDArray[np.intp]
    """Shape (n_stretches,), counted from the start of the split's first window."""
    ends: NDArray[np.intp]
    whole: NDArray[np.bool_]
    """Whether the window fires nowhere; otherwise it fires beside the stretch."""

    def __len__(self) -> int:
        """Number of stretches."""
        return len(self.begins)

    def stretch(self, index: int) -> Stretch:
        """One of them."""
        return Stretch(int(self.begins[index]), int(self.ends[index]))

    def drawn(self, length: int, random: np.random.Generator) -> Stretch | None:
        """So many tokens at random, of windows that fire nowhere if possible; None if too many."""
        room = np.maximum(0, self.ends - self.begins - length + 1)
        places = room * self.whole if (room * self.whole).any() else room
        if not places.any():
            return None
        ends = np.cumsum(places)
        place = int(random.integers(int(ends[-1])))
        index = int(np.searchsorted(ends, place, side="right"))
        begin = int(self.begins[index]) + place - int(ends[index] - places[index])
        return Stretch(begin, begin + length)

    def holding(self, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which stretches hold one of the wanted tokens; shape (n_stretches,)."""
        before = np.concatenate([[0], np.cumsum(wanted)])
        return before[self.ends] > before[self.begins]

    def without(self, stretch: Stretch) -> Silence:
        """What is left on both sides of a stretch that is taken away."""
        begins = np.concatenate([self.begins, np.maximum(self.begins, stretch.end)])
        ends = np.concatenate([np.minimum(self.ends, stretch.begin), self.ends])
        kept = begins < ends
        return Silence(begins[kept], ends[kept], np.tile(self.whole, 2)[kept])


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A silent stretch with one of its tokens that look alike."""

    stretch: Stretch
    token: int


def silence(text: FeatureText, shortest: int, taken: Iterable[Stretch] = ()) -> Silence:
    """All windows without any activation, and of others what is silent for `shortest` tokens.

    Args:
        text: where.
        shortest: the fewest tokens of a stretch that is not a whole window.
        taken: stretches that something was drawn from already, which are left out.
    """
    edges = np.zeros(len(text.activations) + 1, bool)
    edges[text.text.starts] = True
    silent = (text.activations <= 0) & ~covered(text, taken)
    begins = np.flatnonzero(silent & (edges[:-1] | ~np.roll(silent, 1)))
    ends = np.flatnonzero(silent & (edges[1:] | ~np.roll(silent, -1))) + 1
    whole = edges[begins] & edges[ends]
    kept = whole | (ends - begins >= shortest)
    return Silence(begins[kept], ends[kept], whole[kept])


def near_misses(exam: Exam, silent: Silence, random: np.random.Generator) -> Iterator[NearMiss]:
    """Silent stretches that hold tokens which look alike, by chance: of silent windows first.

    Tokens look alike whose mean activation on the propose split is a tenth of the largest or more;
    where no stretch holds such a one, all on which the feature ever fired there. Stretches come in
    random order, each with one of these tokens at random, and never twice. A prediction from the
    token alone, as token tables make it, fires on many of them by construction; which ones it finds
    likest plays no part, so that they are nobody's worst false alarms.

    Args:
        exam: the feature and its held-out text.
        silent: what may be chosen.
        random: draws stretches and tokens.
    """
    alike = likeness(exam) == ALIKE
    if not silent.holding(alike).any():
        alike = likeness(exam) >= SEEN
    order = np.lexsort((random.permutation(len(silent)), ~silent.whole))
    for index in order[silent.holding(alike)[order]]:
        stretch = silent.stretch(index)
        tokens = np.flatnonzero(alike[stretch.begin : stretch.end])
        yield NearMiss(stretch, stretch.begin + int(random.choice(tokens)))


def likeness(exam: Exam) -> NDArray[np.int64]:
    """The class of each token of the split; shape (n_tokens,)."""

    def look_up() -> NDArray[np.int64]:
        laid_out = exam.held_out.text.laid_out()
        return classes_of(exam, laid_out.vocabulary)[laid_out.codes]

    return exam.once("likeness", look_up)


def classes_of(exam: Exam, surfaces: Sequence[str]) -> NDArray[np.int64]:
    """ALIKE, SEEN or 0 for each token, by its mean activation on the propose split."""
    table = np.array([exam.table.get(surface, 0.0) for surface in surfaces], np.float64)
    least = SHARE * max(exam.table.values(), default=0.0)
    return np.where(table > 0, np.where(table >= least, ALIKE, SEEN), 0)


def covered(text: FeatureText, stretches: Iterable[Stretch]) -> NDArray[np.bool_]:
    """Which tokens of the split lie in one of the stretches; shape (n_tokens,)."""
    inside = np.zeros(len(text.activations), bool)
    for stretch in stretches:
        inside[stretch.begin : stretch.end] = True
    return inside
