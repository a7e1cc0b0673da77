"""Requests on their way: how many at once, how fast, and how often each is tried."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from langchain_core.rate_limiters import InMemoryRateLimiter
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_exponential,
    wait_random,
)

from tools.errors import CallFailed, LanguageModelUnusable
from tools.llm.chat import Chat, Request
from tools.llm.failures import PassingFailure, unreachable
from tools.llm.replies import Answer
from tools.llm.settings import LlmSettings

BACK_OFF = wait_exponential(multiplier=0.5, max=20.0) + wait_random(0.0, 0.5)
"""Seconds before another attempt when the server does not say; doubled each time."""

FIRST_CONTACT_RETRIES = 2
"""Further attempts to reach a server that has never answered: its address is likely wrong."""

LONGEST_WAIT_S = 120.0
"""Longest that a server's Retry-After is obeyed at once; after that it is asked again."""


@dataclass(slots=True)
class Attempts:
    """What was done so far to get one request answered."""

    count: int = 0
    """HTTP requests sent."""
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When the last of them was sent, UTC."""
    latency: float | None = None
    """Seconds from then to the reply; None while there is none."""
    failures: Counter[str] = field(default_factory=Counter[str])
    """What became of those that failed."""


class Sender:
    """Sends requests, all features' and roles' within one limit. Lives in one event loop."""

    def __init__(self, settings: LlmSettings) -> None:
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._reached = False
        self._max_retries = settings.max_retries
        self._turn = asyncio.Lock()
        rate = settings.requests_per_second
        self._limiter = (
            None
            if rate is None
            else InMemoryRateLimiter(
                requests_per_second=rate, check_every_n_seconds=min(0.1, 0.05 / rate)
            )
        )

    async def send(
        self,
        chat: Chat,
        request: Request,
        attempts: Attempts,
        admit: Callable[[], None],
    ) -> Answer:
        """Try until there is a reply.

        Args:
            chat: The model and server to ask.
            request: What `chat` made.
            attempts: Kept up to date, whatever happens.
            admit: Called right before the first attempt; what it raises ends all.

        Raises:
            CallFailed: there was no reply to any attempt.
            RequestRefused: the server refuses this request.
            LanguageModelUnusable: the server refuses any request, or nothing answers there.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(PassingFailure),
            wait=_pause,
            stop=self._hopeless,
            reraise=True,
        )
        try:
            return await retrying(self._attempt, chat, request, attempts, admit)
        except PassingFailure as last:
            raise _given_up(chat, attempts, last) from None

    async def _attempt(
        self,
        chat: Chat,
        request: Request,
        attempts: Attempts,
        admit: Callable[[], None],
    ) -> Answer:
        async with self._slots:
            await self._keep_pace()
            if attempts.count == 0:
                admit()
            attempts.count += 1
            attempts.asked_at = datetime.now(UTC)
            clock = asyncio.get_running_loop().time
            start = clock()
            try:
                answer = await chat.send(request)
            except PassingFailure as failure:
                attempts.failures[failure.what] += 1
                self._reached |= not failure.unreachable
                raise
            self._reached = True
            attempts.latency = clock() - start
            return answer

    def _hopeless(self, state: RetryCallState) -> bool:
        """Whether another attempt is in vain: soon where nothing has ever answered."""
        most = self._max_retries if self._reached else min(self._max_retries, FIRST_CONTACT_RETRIES)
        return state.attempt_number > most

    async def _keep_pace(self) -> None:
        if self._limiter is not None:
            # One at a time, for the limiter looks at the clock over and over.
            async with self._turn:
                await self._limiter.aacquire()


def _pause(state: RetryCallState) -> float:
    """Seconds until the next attempt: at least what the server asks for, up to LONGEST_WAIT_S."""
    failure = state.outcome.exception() if state.outcome else None
    if not isinstance(failure, PassingFailure) or not failure.after:
        return BACK_OFF(state)
    asked = min(failure.after, LONGEST_WAIT_S)
    # Not all at the same moment, for they were turned away as too many.
    return asked * (1 + random.uniform(0.0, 0.1))


def _given_up(
    chat: Chat, attempts: Attempts, last: PassingFailure
) -> CallFailed | LanguageModelUnusable:
    if last.unreachable:
        return unreachable(chat.server, last.what)
    told = ", ".join(f"{what} ({n} times)" for what, n in attempts.failures.items())
    return CallFailed(
        f"{chat.server.model} at {chat.server.base_url} gave no reply in {attempts.count} "
        f"attempts: {told}. Resume later, or raise llm.max_retries or llm.timeout_s."
    )
