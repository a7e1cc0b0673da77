"""Questions to OpenAI-compatible servers, from many threads, none paid for twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

import openai

from tools.database import Database
from tools.errors import (
    BudgetSpent,
    CallFailed,
    LanguageModelError,
    MalformedReply,
    UnusableReply,
)
from tools.llm.chat import Chat, Message, http_client
from tools.llm.language_model import Question
from tools.llm.ledger import Ledger
from tools.llm.loop_thread import LoopThread
from tools.llm.replies import CUT_OFF, Reply
from tools.llm.reply_cache import ReplyCache
from tools.llm.sending import Sender
from tools.llm.settings import LlmBudget, LlmSettings
from tools.llm.spending import Spending
from tools.llm.structured import parsed

R = TypeVar("R")

ASKED_AT_MOST = 3
"""How often a question is put before its replies count as malformed."""

LONGEST_ECHO = 4000
"""Characters of an unusable reply that the model is shown again."""

_OUTCOMES = (MalformedReply, CallFailed, BudgetSpent)


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
        self._thread = LoopThread("language model")

    def ask(self, questions: Sequence[Question[R]]) -> list[R | LanguageModelError]:
        """Ask all at once; see LanguageModel.

        Raises:
            LanguageModelUnusable: no question can be answered: the key, the model's name or the
                address is wrong.
            DatabaseError: a reply could not be stored.
            KeyboardInterrupt: `close` was called, before or meanwhile.
        """
        return self._thread.run(self._answers(questions))

    def close(self) -> None:
        """End what is under way; each `ask` that waits raises KeyboardInterrupt. Idempotent."""
        self._thread.close(self._finish)

    async def _finish(self) -> None:
        try:
            await self._ledger.flush()
        finally:
            await self._http.aclose()

    async def _answers(self, questions: Sequence[Question[R]]) -> list[R | LanguageModelError]:
        outcomes = await asyncio.gather(
            *(self._outcome(question) for question in questions), return_exceptions=True
        )
        answers: list[R | LanguageModelError] = []
        for outcome in outcomes:
            # Only now, so that the others' replies are stored.
            if isinstance(outcome, BaseException) and not isinstance(outcome, _OUTCOMES):
                raise outcome
            answers.append(outcome)
        return answers

    async def _outcome(self, question: Question[R]) -> R:
        """The answer to one question, asked again with what was wrong while replies are unusable.

        Raises:
            MalformedReply: no reply was usable.
            CallFailed: the server gave none.
            BudgetSpent: a budget is used up.
        """
        chat = self._chats.get(question.role, self._default)
        messages = _opening(question)
        asked: list[str] = []
        while True:
            request = chat.request(messages, question.reply)
            asked.append(request.hash)
            last = len(asked) == ASKED_AT_MOST
            reply = await self._replies.reply(question, chat, request)
            try:
                record = parsed(reply, question.reply)
                # In another thread: others' replies must not wait for what it computes.
                return await asyncio.to_thread(question.read, record, last)
            except UnusableReply as error:
                complaint = str(error).rstrip(".")
            if last:
                await self._ledger.supersede(asked)
                raise MalformedReply(
                    f"{chat.server.model} gave {question.role} no usable reply, asked "
                    f"{ASKED_AT_MOST} times; at last: {complaint}.{_advice(reply)}"
                )
            messages = [*messages, *_correction(reply, complaint)]


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


def _opening(question: Question[Any]) -> list[Message]:
    return [
        {"role": "system", "content": question.prompt.system},
        {"role": "user", "content": question.prompt.user},
    ]


def _correction(reply: Reply, complaint: str) -> list[Message]:
    said = reply.text if len(reply.text) <= LONGEST_ECHO else f"{reply.text[:LONGEST_ECHO]}…"
    wrong = (
        f"That reply cannot be used: {complaint}. Answer again, in full: one JSON object of the "
        "required schema and nothing else."
    )
    return [
        # Some servers refuse messages without content.
        {"role": "assistant", "content": said.strip() or "(no text)"},
        {"role": "user", "content": wrong},
    ]


def _advice(reply: Reply) -> str:
    return " Raise llm.max_output_tokens." if reply.finish_reason == CUT_OFF else ""
