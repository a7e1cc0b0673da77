"""The judge itself: what the answers to its questions amount to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from evaluation.candidate import Candidate
from evaluation.held_out import Passage, SplitText
from evaluation.judges.judge import Answers, Detection, Marked
from evaluation.judges.language_model.asking import Asker
from evaluation.judges.language_model.probabilities import expectations
from evaluation.judges.language_model.questions import Numbers, Questions
from evaluation.judges.language_model.replies import STRONGEST, YES
from tools.errors import BudgetSpent, CallFailed, LanguageModelError
from tools.llm.costs import total
from tools.llm.language_model import Exchange, LanguageModel

T = TypeVar("T")
R = TypeVar("R")

DETECTED_TOGETHER = 5
"""Texts to a prompt of detection and fuzzing, as in delphi (arXiv 2410.13928)."""
RATED_TOGETHER = 10
"""Texts to a prompt of ratings."""

LOGPROBS, INTEGERS, PER_TOKEN = "logprobs", "integers", "per_token"
"""Ways of answering: expected values, bare numbers where a server gives no log-probabilities, and
expected values asked for token by token."""


@dataclass(frozen=True, slots=True, eq=False)
class _Graded:
    """Numbers of one reply."""

    said: Numbers
    values: NDArray[np.float64]
    """Expected values; `said` itself without log-probabilities."""
    how: str


class LanguageModelJudge:
    """A Judge that shows a language model the description, and nothing else of an explanation.

    Questions that are put twice are answered from the ledger. Every question of a call goes out at
    once. What has no usable answer is None, with the reason; what a server failed to answer or a
    budget did not allow is counted as lost, and these reasons come first.

    Raises, from every method that asks: LanguageModelUnusable where no question can be answered,
    DatabaseError where a reply could not be stored.
    """

    name = "language_model"
    asks = True

    def __init__(self, model: LanguageModel) -> None:
        """Ask `model`, in the role `judge`.

        Raises:
            ConfigError: a prompt file is missing or malformed.
        """
        self._asker = Asker(model)
        self._questions = Questions()

    def unable(self, candidate: Candidate) -> str:
        """See Judge."""
        if candidate.description and candidate.description.strip():
            return ""
        return "the explanation has no description that a language model could read"

    def simulate(
        self, candidate: Candidate, passages: Sequence[Passage], *, per_token: bool = False
    ) -> Answers[NDArray[np.float64]]:
        """See Judge; predictions are from 0 to 10."""
        if per_token:
            return self._simulate_places(candidate, passages)
        asked = [self._questions.simulation(candidate, passage) for passage in passages]
        exchanges = self._asker.ask(asked)
        graded = [_graded(exchange, "activations", STRONGEST) for exchange in exchanges]
        values = [one and one.values for one in graded]
        return _answers(exchanges, values, _lost(exchanges), _how(graded))

    def detect(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[Detection]:
        """See Judge; the score is the probability of yes."""
        groups = _grouped(passages, DETECTED_TOGETHER)
        asked = [self._questions.detection(candidate, group) for group in groups]
        return self._detections(self._asker.ask(asked), groups, "fires")

    def fuzz(self, candidate: Candidate, passages: Sequence[Marked]) -> Answers[Detection]:
        """See Judge; the score is the probability of yes."""
        groups = _grouped(passages, DETECTED_TOGETHER)
        asked = [self._questions.fuzzing(candidate, group) for group in groups]
        return self._detections(self._asker.ask(asked), groups, "right")

    def pick(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[frozenset[int]]:
        """See Judge."""
        exchanges = self._asker.ask([self._questions.choice(candidate, passages)])
        picked = [_outcome(exchange) for exchange in exchanges]
        return _answers(exchanges, picked, _lost(exchanges))

    def rate(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[int]:
        """See Judge."""
        groups = _grouped(passages, RATED_TOGETHER)
        exchanges = self._asker.ask([self._questions.rating(candidate, group) for group in groups])
        ratings = [_outcome(exchange) for exchange in exchanges]
        return _answers(exchanges, _spread(ratings, groups), _lost(exchanges, map(len, groups)))

    def write(
        self, candidate: Candidate, count: int, material: SplitText, seed: int, *, fires: bool
    ) -> Answers[str]:
        """See Judge; it has words of its own, and sees nothing of the material."""
        exchanges = self._asker.ask([self._questions.writing(candidate, count, fires=fires)])
        texts = _outcome(exchanges[0]) or ()
        missing = [None] * (count - len(texts))
        few = f"it wrote {len(texts)} different texts where {count} were asked for"
        reason = [few] if texts and missing else []
        lost = _lost(exchanges, [count])
        return _answers(exchanges, [*texts, *missing], lost, reasons=reason)

    def _simulate_places(
        self, candidate: Candidate, passages: Sequence[Passage]
    ) -> Answers[NDArray[np.float64]]:
        """A passage without a usable answer for each of its tokens has none."""
        exchanges = self._asker.ask(
            [
                self._questions.place(candidate, passage, index)
                for passage in passages
                for index in range(len(passage.scored))
            ]
        )
        graded = [_graded(exchange, "activation", STRONGEST) for exchange in exchanges]
        rest = zip(exchanges, graded, strict=True)
        values: list[NDArray[np.float64] | None] = []
        lost = 0
        for passage in passages:
            own = list(islice(rest, len(passage.scored)))
            known = [one.values for _, one in own if one is not None]
            failed = [exchange.outcome for exchange, one in own if one is None]
            values.append(None if failed else np.concatenate([np.zeros(0), *known]))
            lost += bool(failed) and all(map(_may_come, failed))
        how = PER_TOKEN if _how(graded) in (LOGPROBS, "") else f"{PER_TOKEN}+{INTEGERS}"
        return _answers(exchanges, values, lost, how)

    def _detections(
        self, exchanges: Sequence[Exchange[Numbers]], groups: Sequence[Sequence[Any]], field: str
    ) -> Answers[Detection]:
        graded = [_graded(exchange, field, YES) for exchange in exchanges]
        found = [one and _decisions(one) for one in graded]
        lost = _lost(exchanges, map(len, groups))
        return _answers(exchanges, _spread(found, groups), lost, _how(graded))


def _graded(exchange: Exchange[Numbers], field: str, highest: int) -> _Graded | None:
    said = _outcome(exchange)
    if said is None:
        return None
    expected = expectations(exchange.replies[-1], field, said, highest)
    how = INTEGERS if expected is None else LOGPROBS
    return _Graded(said, np.array(expected or said, np.float64), how)


def _decisions(graded: _Graded) -> list[Detection]:
    pairs = zip(graded.said, graded.values.tolist(), strict=True)
    return [Detection(fires=said == YES, score=score) for said, score in pairs]


def _how(graded: Iterable[_Graded | None]) -> str:
    ways = {one.how for one in graded if one is not None}
    return "+".join(way for way in (LOGPROBS, INTEGERS) if way in ways)


def _outcome(exchange: Exchange[R]) -> R | None:
    return None if isinstance(exchange.outcome, LanguageModelError) else exchange.outcome


def _may_come(outcome: object) -> bool:
    return isinstance(outcome, CallFailed | BudgetSpent)


def _lost(exchanges: Sequence[Exchange[Any]], items: Iterable[int] | None = None) -> int:
    """How many items may be answered another time: one to an exchange, or as many as `items`."""
    counts = [1] * len(exchanges) if items is None else items
    return sum(n for e, n in zip(exchanges, counts, strict=True) if _may_come(e.outcome))


def _grouped(items: Sequence[T], most: int) -> list[Sequence[T]]:
    return [items[start : start + most] for start in range(0, len(items), most)]


def _spread(found: Iterable[Sequence[T] | None], groups: Iterable[Sequence[Any]]) -> list[T | None]:
    """The answers of all groups in a row; None for each item of a group without one."""
    return [
        answer
        for answers, group in zip(found, groups, strict=True)
        for answer in (answers or [None] * len(group))
    ]


def _answers(
    exchanges: Sequence[Exchange[Any]],
    values: Sequence[T | None],
    lost: int,
    how: str = "",
    reasons: Sequence[str] = (),
) -> Answers[T]:
    errors = [e.outcome for e in exchanges if isinstance(e.outcome, LanguageModelError)]
    errors.sort(key=_may_come, reverse=True)
    return Answers(
        values=tuple(values),
        failures=tuple(dict.fromkeys([*map(str, errors), *reasons])),
        lost=lost,
        spent=total(exchange.spent for exchange in exchanges),
        how=how,
    )
