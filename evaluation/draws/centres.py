"""Short windows around single tokens, drawn by the activation at their centre."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.draws.drawn import DrawnText, Kind, Stretch, window_stretch
from evaluation.exam import Exam
from evaluation.held_out import FeatureText
from tools.errors import Unscorable

REACH = 10
"""A window has so many tokens on each side of its centre, 21 in all."""

STRONGEST = 12
"""The strongest centres, among which those of the top windows are drawn."""

TOP = 2
WEIGHTED = 2
RANDOM = 10


def centred_windows(exam: Exam) -> list[DrawnText]:
    """The fourteen windows of SAEBench's automated interpretability, shuffled.

    Two of the twelve strongest centres, no two of which are within ten tokens; two drawn by the
    square of the activation among those weaker than these twelve, sharing no token with them or
    each other; ten at random, whatever the feature does there.

    Raises:
        Unscorable: the feature fires on too few tokens, or there are too few centres.
    """
    return exam.once("centred_windows", lambda: _centred_windows(exam))


def _centred_windows(exam: Exam) -> list[DrawnText]:
    text, random = exam.held_out, exam.random("centred_windows")
    centres = _centres(text)
    firing = centres[text.activations[centres] > 0]
    strongest = _strongest(text, firing)
    drawn: dict[int, Kind] = dict.fromkeys(_some(strongest, TOP, random), "top")
    drawn |= dict.fromkeys(_weighted(text, firing, strongest, random), "weighted")
    others = centres[~np.isin(centres, list(drawn))]
    drawn |= dict.fromkeys(_some(others, RANDOM, random), "random")
    if len(strongest) < STRONGEST or len(drawn) < TOP + WEIGHTED + RANDOM:
        raise Unscorable(
            f"The feature fires at {len(firing)} of {len(centres)} held-out tokens with {REACH} "
            f"more on each side; {STRONGEST} of them apart from each other, {WEIGHTED} weaker ones "
            f"apart from these and {RANDOM} others are needed. More text would help: raise "
            "corpus.max_tokens."
        )
    texts = [DrawnText(_around(text, centre).passage(text), kind) for centre, kind in drawn.items()]
    return [texts[index] for index in random.permutation(len(texts))]


def _centres(text: FeatureText) -> NDArray[np.intp]:
    """Tokens with enough others on each side."""
    laid_out = text.text.laid_out()
    lengths = np.diff(text.text.starts)
    left = np.repeat(lengths, lengths) - laid_out.positions
    return np.flatnonzero((laid_out.positions >= REACH) & (left > REACH))


def _strongest(text: FeatureText, firing: NDArray[np.intp]) -> list[int]:
    left = firing[np.lexsort((firing, -text.activations[firing]))]
    found: list[int] = []
    while len(left) and len(found) < STRONGEST:
        found.append(int(left[0]))
        left = left[_apart(text, left, found[-1:], REACH)]
    return found


def _weighted(
    text: FeatureText,
    firing: NDArray[np.intp],
    strongest: Sequence[int],
    random: np.random.Generator,
) -> list[int]:
    weakest = min((text.activations[centre] for centre in strongest), default=0.0)
    left = firing[text.activations[firing] < weakest]
    left = left[_apart(text, left, strongest, 2 * REACH)]
    found: list[int] = []
    while len(left) and len(found) < WEIGHTED:
        weights = text.activations[left].astype(np.float64) ** 2
        found.append(int(random.choice(left, p=weights / weights.sum())))
        left = left[_apart(text, left, found[-1:], 2 * REACH)]
    return found


def _apart(
    text: FeatureText, centres: NDArray[np.intp], others: Sequence[int], distance: int
) -> NDArray[np.bool_]:
    """Which centres have none of the others within so many tokens of the same window."""
    rivals = np.array(others, np.intp)
    near = np.abs(centres[:, None] - rivals) <= distance
    together = text.text.windows_of(centres)[:, None] == text.text.windows_of(rivals)
    return ~(near & together).any(axis=1)


def _some(centres: ArrayLike, count: int, random: np.random.Generator) -> list[int]:
    return random.permutation(np.asarray(centres, np.intp))[:count].tolist()


def _around(text: FeatureText, centre: int) -> Stretch:
    return window_stretch(text, int(text.text.windows_of(centre))).around(centre, REACH)
