"""The judge that executes an explanation's predictor: free, exact and offline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evaluation.candidate import Candidate, Predictor
from evaluation.held_out import Passage, SplitText
from evaluation.judges.judge import Answers, Detection, Marked
from evaluation.judges.rule.claims import Claims
from evaluation.judges.rule.quarry import Quarry
from evaluation.judges.rule.silent import SilentTexts
from evaluation.judges.rule.writing import FiringTexts, Written
from tools.activations import Tokenization
from tools.errors import Unscorable
from tools.rules import Windows

VERSION = 2
"""Raised when its answers change: scores by another version are stale."""

FIRES = 0.1
"""A text fires where so much of the feature's scale is predicted of some token: below it, the
method calls a text inactive."""
CLEARLY = 0.5
"""A text shows clearly what is described from here on: there the method calls it active."""

_KEPT = 8
"""Explanations whose predictions for the material are remembered."""


class RuleJudge:
    """Predicts what the predictor of an explanation says; implements `Judge`.

    A predictor reads the whole passage, the context before its scored tokens too. It looks only
    back, so that asking once per token would give the same.
    """

    name = "rule"
    asks = False

    def __init__(self, tokenization: Tokenization) -> None:
        """Keep how the subject reads text, which written texts have to survive."""
        self._tokenization = tokenization
        self._quarry = lru_cache(maxsize=2)(Quarry)
        self._claims = lru_cache(maxsize=_KEPT)(self._claim)
        self._firing = lru_cache(maxsize=_KEPT)(self._write_firing)

    def unable(self, candidate: Candidate) -> str:
        """See `Judge.unable`."""
        if candidate.predictor is None:
            return candidate.missing or "the explanation carries nothing that can be executed"
        return ""

    def simulate(
        self, candidate: Candidate, passages: Sequence[Passage], *, per_token: bool = False
    ) -> Answers[NDArray[np.float64]]:
        """See `Judge.simulate`; shares of the feature's scale."""
        return Answers(tuple(self._predictions(candidate, passages)))

    def detect(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[Detection]:
        """See `Judge.detect`."""
        largest = self._largest(candidate, passages)
        return Answers(tuple(Detection(each >= FIRES, min(each, 1.0)) for each in largest))

    def fuzz(self, candidate: Candidate, passages: Sequence[Marked]) -> Answers[Detection]:
        """See `Judge.fuzz`; at least half of the marked tokens have to fire."""
        predicted = self._predictions(candidate, [marked.passage for marked in passages])
        marked = [said[list(m.marks)] for said, m in zip(predicted, passages, strict=True)]
        return Answers(
            tuple(
                Detection(bool((said >= FIRES).mean() >= 0.5), min(float(said.mean()), 1.0))
                for said in marked
            )
        )

    def pick(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[frozenset[int]]:
        """See `Judge.pick`."""
        largest = self._largest(candidate, passages)
        return Answers((frozenset(i for i, each in enumerate(largest) if each >= FIRES),))

    def rate(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[int]:
        """See `Judge.rate`."""
        largest = self._largest(candidate, passages)
        return Answers(tuple((each >= FIRES) + (each >= CLEARLY) for each in largest))

    def write(
        self, candidate: Candidate, count: int, material: SplitText, seed: int, *, fires: bool
    ) -> Answers[str]:
        """See `Judge.write`: held-out words around what the predictor is strongest on, or silent.

        Of the silent texts, plain pieces of the material come first, then minimal pairs: the firing
        texts with as little changed as silences them.
        """
        firing = self._firing(candidate, count, material, seed)
        if fires:
            return _answers(firing, count, "at least half of its largest prediction")
        random = np.random.default_rng([seed, 1])
        writer = SilentTexts(self._claims(candidate, material), self._tokenization, random)
        return _answers(writer.write(count, firing), count, "next to nothing")

    def _write_firing(
        self, candidate: Candidate, count: int, material: SplitText, seed: int
    ) -> list[Written]:
        random = np.random.default_rng([seed, 0])
        writer = FiringTexts(self._claims(candidate, material), self._tokenization, random)
        return writer.write(count)

    def _claim(self, candidate: Candidate, material: SplitText) -> Claims:
        return Claims(self._predictor(candidate), self._quarry(material), self._tokenization)

    def _predictor(self, candidate: Candidate) -> Predictor:
        if candidate.predictor is None:
            raise Unscorable(self.unable(candidate))
        return candidate.predictor

    def _largest(self, candidate: Candidate, passages: Sequence[Passage]) -> list[float]:
        predicted = self._predictions(candidate, passages)
        return [float(said.max(initial=0.0)) for said in predicted]

    def _predictions(
        self, candidate: Candidate, passages: Sequence[Passage]
    ) -> list[NDArray[np.float64]]:
        windows = Windows.of([passage.tokens for passage in passages])
        predicted = self._predictor(candidate).predict_windows(windows).astype(np.float64)
        ends = np.cumsum([len(passage.tokens) for passage in passages])
        begins = ends - [len(passage.scored) for passage in passages]
        return [predicted[b:e] for b, e in zip(begins.tolist(), ends.tolist(), strict=True)]


def _answers(texts: Sequence[Written], count: int, said: str) -> Answers[str]:
    missing = count - len(texts)
    reason = (
        f"only {len(texts)} of {count} texts could be written for which the explanation predicts "
        f"{said}"
    )
    return Answers(
        values=(*(text.text for text in texts), *[None] * missing),
        failures=(reason,) if missing else (),
    )
