"""One request in, its reply out: from the database if it is there, else paid for and stored."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakValueDictionary

from tools.errors import LanguageModelError
from tools.llm.chat import Chat, Request
from tools.llm.language_model import Question
from tools.llm.ledger import AnsweredCall, Ledger, LedgerEntry
from tools.llm.replies import Answer, PaidReply, Usage
from tools.llm.sending import Attempts, Sender
from tools.llm.settings import Price
from tools.llm.spending import Reserved, Spending


class ReplyCache:
    """Gets replies and keeps the books. Lives in one event loop."""

    def __init__(self, run: str, ledger: Ledger, spending: Spending, sender: Sender) -> None:
        self._run = run
        self._ledger = ledger
        self._spending = spending
        self._sender = sender
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def reply(self, question: Question[Any], chat: Chat, request: Request) -> PaidReply:
        """The reply to a request on behalf of a question; stored when this returns.

        Raises:
            BudgetSpent: it would have to be sent, and a budget is used up.
            CallFailed: the server gave no reply.
            RequestRefused: the server refuses this request.
            LanguageModelUnusable: the server refuses any request, or nothing answers there.
            DatabaseError: the reply could not be stored.
        """
        # Whoever asks the same meanwhile waits, and then finds the reply stored.
        async with self._turns.setdefault(request.hash, asyncio.Lock()):
            stored = await self._ledger.stored(request.hash)
            if stored is not None:
                return stored
            return await self._paid(question, chat, request)

    async def _paid(self, question: Question[Any], chat: Chat, request: Request) -> PaidReply:
        attempts = Attempts()
        reserved: list[Reserved] = []

        def admit() -> None:
            model, n_sent = chat.server.model, len(request.text)
            reserved.append(self._spending.admit(question.feature, model, n_sent))

        def settle(call: AnsweredCall | None = None) -> None:
            for each in reserved:
                self._spending.settle(each, call)

        def entry(answer: Answer | None = None, error: str | None = None) -> LedgerEntry:
            cost = None if answer is None else _cost(chat.price, answer.usage)
            return LedgerEntry(
                run=self._run,
                feature=question.feature,
                role=question.role,
                model=chat.server.model,
                prompt_hash=question.prompt.hash,
                request_hash=request.hash,
                request=request.text,
                answer=answer,
                latency=attempts.latency,
                attempts=attempts.count,
                cost=cost,
                error=error,
                asked_at=attempts.asked_at,
            )

        try:
            answer = await self._sender.send(chat, request, attempts, admit)
        except LanguageModelError as error:
            settle()
            if attempts.count:
                await self._ledger.write(entry(error=str(error)))
            raise
        except BaseException as error:
            settle()
            if attempts.count:
                # Nobody waits for it: `flush` does, at the end.
                self._ledger.put(entry(error=_told(error, chat)))
            raise
        answered = entry(answer)
        settle(answered.used(answer))
        await self._ledger.write(answered)
        return answered.paid(answer)


def _told(error: BaseException, chat: Chat) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return chat.server.quote(f"{type(error).__name__}: {error}")


def _cost(price: Price | None, usage: Usage) -> float | None:
    """US dollars; None without a price, or when the server reported no usage."""
    if price is None or usage.tokens_in is None or usage.tokens_out is None:
        return None
    return price.cost(
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        tokens_cached=usage.tokens_cached or 0,
    )
