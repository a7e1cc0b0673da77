"""Questions to the judge, with log-probabilities for as long as its server takes the wish."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from tools.errors import RequestRefused
from tools.llm.language_model import Exchange, LanguageModel, Question

R = TypeVar("R")


class Asker:
    """Safe to share between threads."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._plain = threading.Event()

    def ask(self, questions: Sequence[Question[R]]) -> list[Exchange[R]]:
        """All at once; those refused are asked once more without log-probabilities.

        Where that helps, nothing is asked with log-probabilities any more.

        Raises:
            LanguageModelUnusable: no question can be answered.
        """
        if self._plain.is_set():
            questions = [_plain(question) for question in questions]
        exchanges = self._model.exchange(questions)
        refused = [
            index
            for index, (question, exchange) in enumerate(zip(questions, exchanges, strict=True))
            if question.top_logprobs and _is_refused(exchange)
        ]
        if refused:
            again = self._model.exchange([_plain(questions[index]) for index in refused])
            if any(exchange.replies for exchange in again):
                self._plain.set()
            for index, exchange in zip(refused, again, strict=True):
                exchanges[index] = exchange
        return exchanges


def _plain(question: Question[R]) -> Question[R]:
    return replace(question, top_logprobs=0)


def _is_refused(exchange: Exchange[R]) -> bool:
    return isinstance(exchange.outcome, RequestRefused) and not exchange.replies
