"""Passages that fire and others that are silent, with and without marks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.draws.drawn import DrawnText, Kind, Stretch, peak, window_stretch
from evaluation.draws.silence import classes_of, near_misses, silence
from evaluation.exam import Exam
from evaluation.held_out import Passage
from evaluation.judges.judge import Marked
from tools.errors import Unscorable

LENGTH = 32
"""Tokens of a passage, or all of a shorter window."""

DECILES = 10
LEAST = 5
"""With fewer passages that fire, or fewer that do not, nothing can be said of a feature."""

FIRES = 0.1
"""A passage counts as firing from this share of the feature's scale, to which a text is inactive
where explanations are made."""

MARKED = 0.3
"""Tokens are marked from this share of the passage's largest activation."""


def fire_or_not(exam: Exam, per_decile: int) -> list[DrawnText]:
    """Passages that fire, as many that do not, shuffled.

    Those that fire reach a tenth of the feature's scale. They are drawn from each tenth of the
    ranking of the windows that do, their maximum at a random place. In the others no token has an
    activation above 0, and each is as long as one that fires; what is between is left out. One half
    of them are near misses, with a token that looks alike at a random place (see `near_misses`:
    token tables fire on many of them by construction), the other half is drawn by chance. Both come
    from windows that fire nowhere, or from silent stretches of others where there are too few. No
    token is drawn twice.

    Args:
        exam: the feature and its held-out text.
        per_decile: passages that fire from each tenth, or what it has.

    Raises:
        Unscorable: fewer than five passages fire, or fewer than five are silent.
    """
    return exam.once(("fire_or_not", per_decile), lambda: _fire_or_not(exam, per_decile))


def marked(exam: Exam, drawn: Sequence[DrawnText]) -> list[Marked]:
    """The same passages with marks, where the feature fires or where it might be thought to.

    One that does not fire gets as many marks as some passage that fires, drawn for it: in a near
    miss on tokens that look alike as long as there are any, else at random.
    """
    firing = {text.passage.id: _active(text.passage) for text in drawn if text.kind == "firing"}
    counts = [len(marks) for marks in firing.values()]
    return [
        Marked(text.passage, firing.get(text.passage.id) or _decoys(exam, text, counts))
        for text in drawn
    ]


def _fire_or_not(exam: Exam, per_decile: int) -> list[DrawnText]:
    random = exam.random(f"fire_or_not/{per_decile}")
    firing = _firing(exam, per_decile, random)
    silent = _silent(exam, firing, random)
    if len(silent) < LEAST:
        raise Unscorable(
            f"The held-out text has {len(silent)} silent stretches as long as a passage that "
            f"fires; {LEAST} are needed to tell apart."
        )
    drawn: list[tuple[Kind, Stretch]] = [*(("firing", stretch) for stretch in firing), *silent]
    texts = [DrawnText(stretch.passage(exam.held_out), kind) for kind, stretch in drawn]
    return [texts[index] for index in random.permutation(len(texts))]


def _firing(exam: Exam, per_decile: int, random: np.random.Generator) -> list[Stretch]:
    text = exam.held_out
    windows = text.firing[text.maxima[text.firing] >= FIRES * exam.scale]
    if len(windows) < LEAST:
        raise Unscorable(
            f"The feature fires in {len(windows)} held-out windows at {FIRES} of its scale or "
            f"more; {LEAST} are needed. More text would help: raise corpus.max_tokens."
        )
    bounds = [len(windows) * decile // DECILES for decile in range(DECILES + 1)]
    drawn = [
        int(window)
        for begin, end in zip(bounds[:-1], bounds[1:], strict=True)
        for window in random.permutation(windows[begin:end])[:per_decile]
    ]
    return [window_stretch(text, each).placed(peak(text, each), LENGTH, random) for each in drawn]


def _silent(
    exam: Exam, firing: Sequence[Stretch], random: np.random.Generator
) -> list[tuple[Kind, Stretch]]:
    lengths: list[int] = random.permutation([each.end - each.begin for each in firing]).tolist()
    silent = silence(exam.held_out, min(lengths), firing)
    n_near = min(len(lengths), len(silent) + 1) // 2
    found: list[tuple[Kind, Stretch]] = []
    for miss in near_misses(exam, silent, random):
        room = miss.stretch.end - miss.stretch.begin
        length = next((length for length in lengths if length <= room), None)
        if length is None or len(found) == n_near:
            continue
        lengths.remove(length)
        found.append(("near_miss", miss.stretch.placed(miss.token, length, random)))
        silent = silent.without(found[-1][1])
    for length in lengths:
        stretch = silent.drawn(length, random)
        if stretch is not None:
            found.append(("random", stretch))
            silent = silent.without(stretch)
    return found


def _active(passage: Passage) -> tuple[int, ...]:
    values = passage.activations
    return tuple(np.flatnonzero(values >= MARKED * values.max()).tolist())


def _decoys(exam: Exam, text: DrawnText, counts: Sequence[int]) -> tuple[int, ...]:
    random = exam.random(f"marks/{text.passage.id}")
    places = random.permutation(len(text.passage.scored))
    if text.kind == "near_miss":
        places = places[np.argsort(-classes_of(exam, text.passage.scored)[places], kind="stable")]
    return tuple(np.sort(places[: random.choice(counts)]).tolist())
