"""Questions to OpenAI-compatible servers, from many threads, none paid for twice."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

import openai

from tools.database import Database
from tools.errors import (
    BudgetSpent,
    CallFailed,
    LanguageModelError,
    MalformedReply,
    RequestRefused,
)
from tools.llm.asking import Asking
from tools.llm.chat import Chat, Request, http_client
from tools.llm.language_model import Exchange, Question
from tools.llm.ledger import Ledger
from tools.llm.loop_thread import LoopThread
from tools.llm.replies import PaidReply
from tools.llm.reply_cache import ReplyCache
from tools.llm.sending import Sender
from tools.llm.settings import LlmBudget, LlmSettings
from tools.llm.spending import Spending

R = TypeVar("R")

_OUTCOMES = (CallFailed, RequestRefused, BudgetSpent)


class OpenAIModel:
    """A LanguageModel. Answers from the database what was answered before, by whichever run."""

    def __init__(
        self,
        settings: LlmSettings,
        database: Database,
        run: str,
        *,
        per_feature: LlmBudget,
        per_run: LlmBudget,
    ) -> None:
        """Look up keys and what the run has used up; nothing is sent.

        Args:
            settings: The `llm` section.
            database: Has LLM_DDL; gets every call.
            run: The run's name.
            per_feature: What calls for each feature may use up.
            per_run: What all of them may use up together.

        Raises:
            ConfigError: a key's environment variable is not set, or a base_url is no URL.
        """
        self._http = http_client(settings.concurrency)
        self._default = Chat(settings, self._http)
        self._chats = _chats(settings, self._default, self._http)
        self._ledger = Ledger(database)
        spending = Spending(
            self._ledger.answered(run), settings.prices, per_feature=per_feature, per_run=per_run
        )
        self._replies = ReplyCache(run, self._ledger, spending, Sender(settings))
        self._malformed: defaultdict[int, set[str]] = defaultdict(set)
        self._noting = threading.Lock()
        self._thread = LoopThread("language model")

    def ask(self, questions: Sequence[Question[R]]) -> list[R | LanguageModelError]:
        """Ask all at once; see LanguageModel for what may stand in an answer's place.

        Raises:
            LanguageModelUnusable, DatabaseError, KeyboardInterrupt: as with `exchange`.
        """
        return [exchange.outcome for exchange in self.exchange(questions)]

    def exchange(self, questions: Sequence[Question[R]]) -> list[Exchange[R]]:
        """Ask all at once, and tell what was said and what it took.

        What a reply took is counted whether it was paid for now or earlier. Unusable replies are
        kept as any other, so that nobody pays for them again: only `forget_malformed` lets the
        same question be put afresh.

        Raises:
            LanguageModelUnusable: no question can be answered: the key, the model's name or the
                address is wrong.
            DatabaseError: a reply could not be stored.
            KeyboardInterrupt: `close` was called, before or meanwhile.
        """
        askings = [Asking(each, self._chats.get(each.role, self._default)) for each in questions]
        while waiting := [asking for asking in askings if not asking.outcomes]:
            requests = [asking.next_request() for asking in waiting]
            replies = self._thread.run(self._replies_to(waiting, requests))
            for asking, reply in zip(waiting, replies, strict=True):
                asking.take(reply)
        self._note_malformed(askings)
        return [asking.exchange() for asking in askings]

    def forget_malformed(self, feature: int) -> None:
        """Let the feature's questions that ended as MalformedReply be put afresh from now on.

        To be called once the failure is stored. Whoever is killed before that finds the same
        replies again, and fails again with nothing paid twice.

        Raises:
            DatabaseError: it could not be stored.
            KeyboardInterrupt: `close` was called.
        """
        with self._noting:
            hashes = self._malformed.pop(feature, None)
        if hashes:
            self._thread.run(self._ledger.supersede(sorted(hashes)))

    def close(self) -> None:
        """End what is under way; each `ask` that waits raises KeyboardInterrupt. Idempotent."""
        self._thread.close(self._finish)

    async def _finish(self) -> None:
        try:
            await self._ledger.flush()
        finally:
            await self._http.aclose()

    async def _replies_to(
        self, askings: Sequence[Asking[R]], requests: Sequence[Request]
    ) -> list[PaidReply | LanguageModelError]:
        outcomes = await asyncio.gather(
            *(
                self._replies.reply(asking.question, asking.chat, request)
                for asking, request in zip(askings, requests, strict=True)
            ),
            return_exceptions=True,
        )
        replies: list[PaidReply | LanguageModelError] = []
        for outcome in outcomes:
            # Only now, so that the others' replies are stored.
            if isinstance(outcome, BaseException) and not isinstance(outcome, _OUTCOMES):
                raise outcome
            replies.append(outcome)
        return replies

    def _note_malformed(self, askings: Sequence[Asking[R]]) -> None:
        for asking in askings:
            if isinstance(asking.outcomes[0], MalformedReply):
                with self._noting:
                    noted = self._malformed[asking.question.feature]
                    noted.update(request.hash for request in asking.requests)


def _chats(
    settings: LlmSettings, default: Chat, http: openai.DefaultAsyncHttpxClient
) -> dict[str, Chat]:
    """The chats of the roles that have settings of their own; equal settings share one."""
    built = {settings.model_dump_json(): default}
    chats: dict[str, Chat] = {}
    for role in settings.roles:
        own = settings.for_role(role)
        key = own.model_dump_json()
        if key not in built:
            built[key] = Chat(own, http)
        chats[role] = built[key]
    return chats
