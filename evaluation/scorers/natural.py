"""Natural text in passages of one length: what written texts are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from evaluation.draws.drawn import Stretch
from evaluation.exam import Exam
from evaluation.scorers.written import MeasuredText
from evaluation.statistics import Floats


@dataclass(frozen=True, slots=True, eq=False)
class NaturalText:
    """Consecutive passages of held-out text in their order, as measured with their context."""

    passages: tuple[Stretch, ...]
    largest: Floats
    """Shape (n_passages,): the largest activation on each, in the SAE's units."""
    strongest: Floats
    """The activation of largest absolute value on each."""


def natural_text(exam: Exam, length: int) -> NaturalText:
    """All of the split in passages of `length` tokens; a shorter window is one passage."""
    return exam.once(("natural text", length), lambda: _cut(exam, length))


def as_long_as(exam: Exam, texts: Sequence[MeasuredText]) -> NaturalText:
    """All of the split in passages of as many tokens as the texts have on average.

    A longer text has a larger maximum, whatever it says.
    """
    mean = np.mean([text.n_tokens for text in texts])
    return natural_text(exam, max(1, round(float(mean))))


def _cut(exam: Exam, length: int) -> NaturalText:
    passages = tuple(
        Stretch(at, min(at + length, end))
        for begin, end in pairwise(exam.held_out.text.starts.tolist())
        for at in range(begin, max(begin + 1, end - length + 1), length)
    )
    values = exam.held_out.activations.astype(np.float64)
    borders = np.array([(piece.begin, piece.end) for piece in passages], np.intp).ravel()
    # The last passage may end where there is no token to begin another part.
    padded = np.append(values, 0.0)
    largest = np.maximum.reduceat(padded, borders)[::2]
    smallest = np.minimum.reduceat(padded, borders)[::2]
    strongest = np.where(-smallest > largest, smallest, largest)
    return NaturalText(passages, largest, strongest)
