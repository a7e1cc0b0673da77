"""Exams with chosen texts and activations, and judges that answer as told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from evaluation.candidate import Candidate, Predictor
from evaluation.exam import Exam
from evaluation.held_out import FeatureText, Passage, SplitText
from evaluation.judges.judge import Answers, Detection, Marked
from tests.fakes import FakeSubject, Planted, fake_corpus
from tools.llm.costs import Spent
from tools.rules import Branch, Condition, Rule, Windows

T = TypeVar("T")

FIRES = 0.1
"""Predicted share of the scale from which a rule says that a feature fires."""


def fires(passage: Passage) -> bool:
    """Whether any scored token has an activation above zero."""
    return bool((passage.activations > 0).any())


def rule(*conditions: Condition) -> Rule:
    return Rule(tuple(Branch(condition, 1.0) for condition in conditions))


def candidate(predictor: Predictor | None = None, description: str = "Fires.") -> Candidate:
    return Candidate("agentic", 0, description, predictor, {})


def exam_on(
    planted: Planted, texts: Sequence[str], *, seed: int = 0, window_size: int = 32
) -> Exam:
    """A planted feature on texts cut into windows, which stand for every split."""
    subject = FakeSubject((planted,), window_size=window_size)
    windows = [
        tuple(ids[begin : begin + window_size])
        for ids in map(subject.tokenize, texts)
        for begin in range(0, len(ids), window_size)
    ]
    measured = [column[:, 0] for column in subject.encode_windows(windows, [0])]
    return exam_of(subject, windows, measured, seed=seed)


def exam_of(
    subject: FakeSubject,
    windows: Sequence[tuple[int, ...]],
    activations: Sequence[NDArray[np.float32]],
    *,
    seed: int = 0,
) -> Exam:
    """An exam on windows with given activations."""
    surfaces = tuple(tuple(subject.surfaces(window)) for window in windows)
    flat = np.concatenate([*activations, np.zeros(0, np.float32)]).astype(np.float32)
    held_out = FeatureText(SplitText(tuple(windows), surfaces), flat)
    top = held_out.maxima[held_out.firing[:10]]
    return Exam(
        feature=0,
        scale=float(top.mean()) if len(top) else 0.0,
        held_out=held_out,
        table=_table(surfaces, activations),
        subject=subject,
        seed=seed,
    )


def _table(
    surfaces: Sequence[Sequence[str]], activations: Sequence[NDArray[np.float32]]
) -> dict[str, float]:
    seen: dict[str, list[float]] = {}
    for tokens, values in zip(surfaces, activations, strict=True):
        for token, value in zip(tokens, values, strict=True):
            seen.setdefault(token, []).append(float(value))
    return {token: float(np.mean(values)) for token, values in seen.items() if max(values) > 0}


def contexts(n: int = 120, before: int = 14, after: int = 8) -> list[str]:
    """One `None` in each text after at most so many words, in every other one right after `is`."""
    random = np.random.default_rng(0)
    plain = ["cat", "dog", "tree", "one", "two", "red", "green", "blue"]

    def words(count: int) -> list[str]:
        return random.choice(plain, size=count).tolist()

    return [
        " ".join(
            [
                *words(int(random.integers(before // 2, before))),
                "is" if number % 2 else "was",
                "None",
                *words(after),
            ]
        )
        for number in range(n)
    ]


def reseeded(exam: Exam, seed: int) -> Exam:
    """The same with other draws."""
    return replace(exam, seed=seed, _memo={})


def rare_exam(n_firing: int, n_silent: int = 40, seed: int = 0) -> Exam:
    """A feature that fires on `cat` in so many windows, once in each."""
    planted = Planted("cat", lambda tokens: [4.0 * (token.strip() == "cat") for token in tokens])
    silent = fake_corpus(n_silent, 3, seed=seed)
    clean = [text.replace("cat", "tree") for text in silent]
    firing = [f"the tree {number} and a cat by one house" for number in range(n_firing)]
    return exam_on(planted, [*clean, *firing], seed=seed)


@dataclass
class RuleJudge:
    """Executes what an explanation carries, as the judge of that name does."""

    name: str = "rule"
    asks: bool = False
    asked: list[Sequence[Passage | Marked]] = field(default_factory=list)

    def unable(self, candidate: Candidate) -> str:
        return "" if candidate.predictor else "no rule"

    def predicted(
        self, candidate: Candidate, passages: Sequence[Passage]
    ) -> list[NDArray[np.float64]]:
        assert candidate.predictor is not None
        found = [
            candidate.predictor.predict_windows(Windows.of([passage.tokens]))[passage.start :]
            for passage in passages
        ]
        return [values.astype(np.float64) for values in found]

    def simulate(
        self, candidate: Candidate, passages: Sequence[Passage], *, per_token: bool = False
    ) -> Answers[NDArray[np.float64]]:
        self.asked.append(passages)
        return Answers(tuple(self.predicted(candidate, passages)))

    def detect(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[Detection]:
        self.asked.append(passages)
        scores = [float(values.max()) for values in self.predicted(candidate, passages)]
        return Answers(tuple(Detection(score >= FIRES, score) for score in scores))

    def fuzz(self, candidate: Candidate, passages: Sequence[Marked]) -> Answers[Detection]:
        self.asked.append(passages)
        predicted = self.predicted(candidate, [item.passage for item in passages])
        scores = [
            float(values[list(item.marks)].mean())
            for values, item in zip(predicted, passages, strict=True)
        ]
        return Answers(tuple(Detection(score >= FIRES, score) for score in scores))

    def pick(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[frozenset[int]]:
        self.asked.append(passages)
        predicted = self.predicted(candidate, passages)
        return Answers((frozenset(i for i, v in enumerate(predicted) if v.max() >= FIRES),))

    def rate(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[int]:
        raise NotImplementedError

    def write(
        self, candidate: Candidate, count: int, material: SplitText, seed: int, *, fires: bool
    ) -> Answers[str]:
        raise NotImplementedError


@dataclass
class TellingJudge(RuleJudge):
    """Answers as told of each text, even by looking at the truth; None for no usable answer."""

    simulates: Callable[[Passage], NDArray[np.float64] | None] = lambda passage: None
    scores: Callable[[Passage], float | None] = lambda passage: None
    marked: Callable[[Marked], float | None] = lambda item: None
    picks: Callable[[Sequence[Passage]], frozenset[int] | None] = lambda passages: None
    spent: Spent = Spent(calls=3, tokens_in=100, tokens_out=10, cost=None)
    lost: int = 0

    def simulate(
        self, candidate: Candidate, passages: Sequence[Passage], *, per_token: bool = False
    ) -> Answers[NDArray[np.float64]]:
        self.asked.append(passages)
        how = "per_token" if per_token else "integers"
        return self._answers(map(self.simulates, passages), how)

    def detect(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[Detection]:
        self.asked.append(passages)
        return self._answers(map(_decided, map(self.scores, passages)))

    def fuzz(self, candidate: Candidate, passages: Sequence[Marked]) -> Answers[Detection]:
        self.asked.append(passages)
        return self._answers(map(_decided, map(self.marked, passages)))

    def pick(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[frozenset[int]]:
        self.asked.append(passages)
        return self._answers([self.picks(passages)])

    def _answers(self, values: Iterable[T | None], how: str = "") -> Answers[T]:
        return Answers(tuple(values), ("cut off",), lost=self.lost, spent=self.spent, how=how)


def _decided(score: float | None) -> Detection | None:
    return None if score is None else Detection(score >= 0.5, score)
