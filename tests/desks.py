"""Desks for baselines, with little on them, and who answers when one asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from evaluation.baselines.baseline import Desk
from evaluation.candidate import Candidate
from evaluation.held_out import FeatureText, SplitText
from graphs.policies.protocols import Dossier, Thresholds
from tests.fakes import FakeSubject
from tools.census import Census, CensusText
from tools.errors import LanguageModelError, MalformedReply, UnusableReply
from tools.exemplars import Exemplar, FeatureStatistics
from tools.llm.costs import NOTHING_SPENT, Spent
from tools.llm.language_model import Exchange, Question
from tools.rules import Branch, Rule, TokenIn

EMPTY_CENSUS = Census(CensusText((), (), (), 0), 0, np.zeros(0, np.int32), np.zeros(0, np.uint8))
SPENT = Spent(1, 900, 80, 0.01)
FLAT = {"tokens": [" cat"], "strength": 0.9}
REPLY = {"description": " Fires on\n animals. ", "rule": {"branches": [FLAT]}}


class Answering:
    """A LanguageModel that gives these replies in turn, or ends in an error."""

    def __init__(self, *replies: object) -> None:
        self.replies = replies
        self.questions: list[Question[Any]] = []

    def ask(self, questions: Sequence[Question[Any]]) -> list[Any]:
        return [exchange.outcome for exchange in self.exchange(questions)]

    def exchange(self, questions: Sequence[Question[Any]]) -> list[Exchange[Any]]:
        self.questions += questions
        return [Exchange(self._outcome(question), (), SPENT) for question in questions]

    def _outcome(self, question: Question[Any]) -> object:
        complaint = ""
        for number, reply in enumerate(self.replies, start=1):
            if isinstance(reply, LanguageModelError):
                return reply
            try:
                read = question.reply.model_validate(reply)
                return question.read(read, number == len(self.replies))
            except (UnusableReply, ValidationError) as error:
                complaint = str(error)
        return MalformedReply(complaint)


def exemplar(rank: int, tokens: Sequence[str], activations: Sequence[float]) -> Exemplar:
    values = np.array(activations, np.float32)
    return Exemplar(
        id=f"propose/top/{rank}",
        feature=0,
        split="propose",
        band="top",
        rank=rank,
        document="d",
        position=0,
        token_ids=tuple(range(len(tokens))),
        tokens=tuple(tokens),
        activations=values,
        max_activation=float(values.max()),
        peak=int(values.argmax()),
    )


EXEMPLARS = (
    exemplar(1, ["x", " cat", "y"], [0.0, 8.0, 4.0]),
    exemplar(2, [" cat", " dog"], [2.0, 6.0]),
    replace(exemplar(1, ["no"], [9.0]), band="quantile_4"),
)


def split_text(*windows: Sequence[str]) -> SplitText:
    return SplitText(tuple(tuple(range(len(w))) for w in windows), tuple(map(tuple, windows)))


PROPOSED = FeatureText(
    split_text(["a", "b", "a", "b"], ["b", "a"]), np.array([0, 4, 0, 2, 6, 0], np.float32)
)


def candidate(feature: int, **changes: Any) -> Candidate:
    rule = Rule((Branch(TokenIn((f"t{feature}",)), 1.0),))
    made = Candidate(
        explainer="agentic",
        feature=feature,
        description=f"Fires on t{feature}.",
        predictor=rule,
        content={"rule": rule.to_json()},
        spent=SPENT,
    )
    return replace(made, **changes)


def desk(
    feature: int = 0, exemplars: Sequence[Exemplar] = EXEMPLARS, scale: float = 8.0, **changes: Any
) -> Desk:
    """A desk on which little lies."""
    dossier = Dossier(
        feature=feature,
        seed=0,
        statistics=FeatureStatistics(feature, 9, 5, 2, scale, scale),
        exemplars=exemplars,
        token_table=(),
        census=EMPTY_CENSUS,
        contexts=(),
        tokenization=FakeSubject(),
        thresholds=Thresholds(),
    )
    whole = Desk(
        feature=feature,
        seed=0,
        dossier=dossier,
        proposed=PROPOSED,
        scale=scale,
        agentic={},
        hypotheses=(),
        proposing=NOTHING_SPENT,
        policy="symbolic",
        model=None,
    )
    return replace(whole, **changes)


def listed(found: Candidate) -> dict[str, float]:
    """The tokens that a candidate's rule lists, with their strengths."""
    assert isinstance(found.predictor, Rule)
    assert found.content["rule"] == found.predictor.to_json()
    strengths: dict[str, float] = {}
    for branch in found.predictor.branches:
        assert isinstance(branch.condition, TokenIn)
        strengths.update(dict.fromkeys(branch.condition.tokens, branch.strength))
    return strengths
