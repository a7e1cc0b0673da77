"""Short texts around single tokens, on which activations are predicted token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from evaluation.draws.drawn import DrawnText, Kind, Stretch, peak, window_stretch
from evaluation.draws.silence import covered, near_misses, silence
from evaluation.exam import Exam
from evaluation.held_out import FeatureText
from tools.errors import ActivationNotFinite, Unscorable

REACH = 5
"""A snippet has so many tokens on each side of its centre."""

TOP = 10
"""The strongest windows, which the published protocol keeps for those who explain."""

FIRING = 10
"""Snippets of windows that fire."""

LEAST_FIRING = 5
"""With fewer snippets that fire, nothing can be said of a rare feature."""

NEAR_MISSES = 5
RANDOM = 5

_BANDS: tuple[Kind, ...] = ("high", "medium", "low")
_BAND_ENDS = (0.4, 0.7)
"""Shares of the ranking at which the second and the third band begin."""
_QUOTAS = (4, 3, 3)


def sage_snippets(exam: Exam) -> list[DrawnText]:
    """The texts of SAGE's predictive accuracy, cut out of their context and measured anew as cut.

    Ten windows outside the ten strongest, four of the band down to 40 % of the ranking, three down
    to 70 %, three of the rest; from each the 5 tokens on both sides of its maximum.

    Raises:
        Unscorable: fewer than ten windows outside the ten strongest fire.
    """
    return exam.once("sage_snippets", lambda: _sage_snippets(exam))


def balanced_snippets(exam: Exam) -> list[DrawnText]:
    """Snippets of the same bands, of near misses and of random places, as measured in context.

    All have the context before them to be read. Where fewer than ten windows outside the ten
    strongest fire, the bands are those of all windows that fire. Near misses were measured to be
    silent and hold a token that looks alike (see `near_misses`): token tables fire on many of them
    by construction. What they lack in number is made up by random places. No token is drawn twice.

    Raises:
        Unscorable: fewer than five windows fire.
    """
    return exam.once("balanced_snippets", lambda: _balanced_snippets(exam))


def banded(n_ranked: int, skip: int, random: np.random.Generator) -> list[tuple[Kind, int]]:
    """Ten ranks by band, strongest first; all ranks where there are no more.

    Args:
        n_ranked: how many are ranked.
        skip: how many of the strongest are left out.
        random: draws within a band; a band that is too small is made up for by the others.
    """
    shuffled = skip + random.permutation(n_ranked - skip)
    bands = np.searchsorted(_BAND_ENDS, shuffled / max(1, n_ranked), side="right")
    first = [shuffled[bands == band][:quota] for band, quota in enumerate(_QUOTAS)]
    chosen = np.concatenate(first)
    others = shuffled[~np.isin(shuffled, chosen)]
    ranks = np.sort(np.concatenate([chosen, others[: FIRING - len(chosen)]]))
    band_of = np.searchsorted(_BAND_ENDS, ranks / max(1, n_ranked), side="right")
    return [(_BANDS[band], int(rank)) for band, rank in zip(band_of, ranks, strict=True)]


def _sage_snippets(exam: Exam) -> list[DrawnText]:
    n_firing = len(exam.held_out.firing)
    outside = max(0, n_firing - TOP)
    if outside < FIRING:
        raise Unscorable(
            f"The feature fires in {n_firing} held-out windows, {outside} of them outside the "
            f"{TOP} strongest; the protocol needs {FIRING}. More text would help: raise "
            "corpus.max_tokens."
        )
    firing = _firing(exam, TOP, exam.random("sage_snippets"))
    cut = [stretch.token_ids(exam.held_out) for _, stretch in firing]
    try:
        measured = exam.subject.encode_windows(cut, [exam.feature])
    except ActivationNotFinite as error:
        raise Unscorable(f"Cut out of their context, the texts give no number: {error}") from error
    return [
        DrawnText(replace(stretch.passage(exam.held_out), activations=column[:, 0]), kind)
        for (kind, stretch), column in zip(firing, measured, strict=True)
    ]


def _balanced_snippets(exam: Exam) -> list[DrawnText]:
    n_firing = len(exam.held_out.firing)
    if n_firing < LEAST_FIRING:
        raise Unscorable(
            f"The feature fires in {n_firing} held-out windows; {LEAST_FIRING} are needed. More "
            "text would help: raise corpus.max_tokens."
        )
    random = exam.random("balanced_snippets")
    firing = _firing(exam, TOP if n_firing >= TOP + FIRING else 0, random)
    taken = [stretch for _, stretch in firing]
    silent = silence(exam.held_out, 2 * REACH + 1, taken)
    near = [
        miss.stretch.around(miss.token, REACH)
        for miss in islice(near_misses(exam, silent, random), NEAR_MISSES)
    ]
    n_random = NEAR_MISSES + RANDOM - len(near)
    anywhere = _anywhere(exam.held_out, [*taken, *near], n_random, random)
    drawn: list[tuple[Kind, Stretch]] = [
        *firing,
        *(("near_miss", stretch) for stretch in near),
        *(("random", stretch) for stretch in anywhere),
    ]
    return [
        DrawnText(stretch.passage(exam.held_out, context=True), kind) for kind, stretch in drawn
    ]


def _firing(exam: Exam, skip: int, random: np.random.Generator) -> list[tuple[Kind, Stretch]]:
    text = exam.held_out
    found: list[tuple[Kind, Stretch]] = []
    for kind, rank in banded(len(text.firing), skip, random):
        window = int(text.firing[rank])
        found.append((kind, window_stretch(text, window).around(peak(text, window), REACH)))
    return found


def _anywhere(
    text: FeatureText, taken: Sequence[Stretch], count: int, random: np.random.Generator
) -> list[Stretch]:
    """Around random tokens, sharing none with what is taken or with each other."""
    used = covered(text, taken)
    found: list[Stretch] = []
    for token in map(int, random.permutation(np.flatnonzero(~used))):
        window = int(text.text.windows_of(token))
        stretch = window_stretch(text, window).around(token, REACH)
        if not used[stretch.begin : stretch.end].any():
            used[stretch.begin : stretch.end] = True
            found.append(stretch)
        if len(found) == count:
            break
    return found
