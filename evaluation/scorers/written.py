"""Texts that a judge writes from an explanation alone, as model and SAE read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.candidate import Candidate
from evaluation.exam import Exam
from evaluation.judges.judge import Answers, Judge
from tools.activations import TextActivations
from tools.errors import ActivationNotFinite, EmptyText, InvalidText, TextTooLong, Unscorable
from tools.llm.costs import total

TEXTS = 10
"""Texts that should fire, and as many that should not: SAGE's number (arXiv 2511.20820)."""
FEWEST = 5
"""With fewer usable texts, nothing can be said of an explanation."""


@dataclass(frozen=True, slots=True)
class MeasuredText:
    """A written text that model and SAE have read, with no context before it."""

    text: str
    n_tokens: int
    largest: float
    """The largest activation on it, in the SAE's units."""
    strongest: float
    """The activation of largest absolute value: another one where an SAE gives negative ones."""


@dataclass(frozen=True, slots=True, eq=False)
class WrittenTexts:
    """What a judge wrote from one explanation."""

    firing: Answers[MeasuredText]
    """On which the feature should fire; None where no text came or it cannot be measured."""
    silent: Answers[MeasuredText]
    """On which it should not."""
    never_fires: bool
    """Whether it is the explanation's doing that fewer than FEWEST firing texts were written: a
    judge that executes it finds no more. One that asks for texts may be at fault itself."""
    always_fires: bool
    """The same of silent texts."""

    @property
    def both(self) -> Answers[MeasuredText]:
        """All texts, those first on which the feature should fire."""
        return Answers(
            values=(*self.firing.values, *self.silent.values),
            failures=(*self.firing.failures, *self.silent.failures),
            lost=self.firing.lost + self.silent.lost,
            spent=total([self.firing.spent, self.silent.spent]),
        )


def written(exam: Exam, candidate: Candidate, judge: Judge) -> WrittenTexts:
    """Texts written from an explanation, TEXTS of each kind: written and measured once only.

    Raises:
        Unscorable: the judge can do nothing with the explanation, or the feature has no scale.
    """
    if not exam.scale > 0:
        raise Unscorable("the feature never fires where it was explained: it has no scale")
    key = ("written", candidate.digest, judge.name)
    return exam.once(key, lambda: _written(exam, candidate, judge))


def usable(answers: Answers[MeasuredText]) -> list[MeasuredText]:
    """The texts that were written and measured."""
    return [text for text in answers.values if text is not None]


def too_few_written(answers: Answers[MeasuredText]) -> str:
    """Why texts say nothing of the explanation, fewer than FEWEST; else empty."""
    n_usable = len(usable(answers))
    if n_usable >= FEWEST:
        return ""
    why = f": {answers.failures[0]}" if answers.failures else ""
    return f"{n_usable} usable texts were written, {FEWEST} are needed{why}"


def strongest_of(activations: NDArray[np.float32]) -> float:
    """The activation of largest absolute value, with its sign."""
    return float(activations[np.argmax(np.abs(activations))])


def _written(exam: Exam, candidate: Candidate, judge: Judge) -> WrittenTexts:
    seed = exam.seed_of("written")
    material = exam.held_out.text
    firing = judge.write(candidate, TEXTS, material, seed, fires=True)
    silent = judge.write(candidate, TEXTS, material, seed, fires=False)
    texts = [text for text in (*firing.values, *silent.values) if text is not None]
    measured = dict(zip(texts, _measured(exam, texts), strict=True))
    return WrittenTexts(
        firing=_with_measurements(firing, measured),
        silent=_with_measurements(silent, measured),
        never_fires=not judge.asks and _n_written(firing) < FEWEST,
        always_fires=not judge.asks and _n_written(silent) < FEWEST,
    )


def _n_written(answers: Answers[str]) -> int:
    return sum(text is not None for text in answers.values)


def _measured(exam: Exam, texts: Sequence[str]) -> list[MeasuredText | str]:
    """Each text with its activations, or why there are none."""
    try:
        return [_summary(result) for result in exam.measure(texts)] if texts else []
    except (TextTooLong, EmptyText, InvalidText, ActivationNotFinite) as error:
        if len(texts) == 1:
            return [str(error)]
    # One that cannot be measured spoils the batch.
    middle = len(texts) // 2
    return [*_measured(exam, texts[:middle]), *_measured(exam, texts[middle:])]


def _summary(result: TextActivations) -> MeasuredText:
    column = result.activations[:, 0]
    return MeasuredText(result.text, len(column), float(column.max()), strongest_of(column))


def _with_measurements(
    answers: Answers[str], measured: dict[str, MeasuredText | str]
) -> Answers[MeasuredText]:
    found = [None if text is None else measured[text] for text in answers.values]
    refused = [reason for reason in found if isinstance(reason, str)]
    values = tuple(text if isinstance(text, MeasuredText) else None for text in found)
    return Answers(
        values=values,
        failures=(*answers.failures, *refused),
        lost=answers.lost,
        spent=answers.spent,
        how=answers.how,
    )
