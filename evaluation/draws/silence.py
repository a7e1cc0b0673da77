"""Where a feature is silent, and where it is although something looks as if it should fire."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.draws.drawn import Stretch
from evaluation.exam import Exam
from evaluation.held_out import FeatureText


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

    def without(self, stretch: Stretch) -> Silence:
        """What is left on both sides of a stretch that is taken away."""
        begins = np.concatenate([self.begins, np.maximum(self.begins, stretch.end)])
        ends = np.concatenate([np.minimum(self.ends, stretch.begin), self.ends])
        kept = begins < ends
        return Silence(begins[kept], ends[kept], np.tile(self.whole, 2)[kept])


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A silent stretch with the token of it on which the feature usually fires most."""

    stretch: Stretch
    token: int


def silence(text: FeatureText, shortest: int) -> Silence:
    """All windows without any activation, and of others what is silent for `shortest` tokens."""
    edges = np.zeros(len(text.activations) + 1, bool)
    edges[text.text.starts] = True
    silent = text.activations <= 0
    begins = np.flatnonzero(silent & (edges[:-1] | ~np.roll(silent, 1)))
    ends = np.flatnonzero(silent & (edges[1:] | ~np.roll(silent, -1))) + 1
    whole = edges[begins] & edges[ends]
    kept = whole | (ends - begins >= shortest)
    return Silence(begins[kept], ends[kept], whole[kept])


def near_misses(exam: Exam, silent: Silence, random: np.random.Generator) -> list[NearMiss]:
    """All that hold a token on which the feature usually fires: silent windows first, likest first.

    Args:
        exam: the feature and its held-out text.
        silent: what may be chosen.
        random: breaks ties.
    """
    value = likeness(exam)
    stretches = [silent.stretch(index) for index in range(len(silent))]
    tokens = [each.begin + int(np.argmax(value[each.begin : each.end])) for each in stretches]
    order = np.lexsort((random.permutation(len(silent)), -value[tokens], ~silent.whole))
    found = (NearMiss(stretches[index], tokens[index]) for index in map(int, order))
    return [miss for miss in found if value[miss.token] > 0]


def likeness(exam: Exam) -> NDArray[np.float64]:
    """Mean activation that each token of the split has elsewhere; shape (n_tokens,)."""

    def look_up() -> NDArray[np.float64]:
        laid_out = exam.held_out.text.laid_out()
        table = [exam.table.get(surface, 0.0) for surface in laid_out.vocabulary]
        return np.array(table, np.float64)[laid_out.codes]

    return exam.once("likeness", look_up)
