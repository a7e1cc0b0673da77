"""The server in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from tests.llm_server.connection import HttpConnection
from tests.llm_server.faults import FaultPlan, check_names
from tests.llm_server.records import Record
from tests.llm_server.server import Brain, ChatService, LogprobsManner, Manners, Scripted

HOST = "127.0.0.1"
BACKLOG = 1024


class LoopbackServer:
    """Serves on 127.0.0.1 while the `with` block lasts.

    A failure of the brain is answered with status 500 and raised at the end of the block.
    """

    def __init__(
        self,
        brain: Brain,
        *,
        delay: float = 0.0,
        faults: Mapping[str, float] | Sequence[Scripted] = (),
        seed: int = 0,
        require_key: str | None = None,
        models: Sequence[str] = (),
        hold_s: float = 30.0,
        retry_after_s: float = 0.05,
        logprobs: LogprobsManner = "give",
        port: int = 0,
    ) -> None:
        """Set the manners; nothing listens before the block begins.

        Args:
            brain: From a request's body to the assistant's content; called in worker threads.
            delay: Seconds from a request's arrival to its answer.
            faults: Share of requests by name of the fault, chosen by seed and ordinal number; or
                what the first requests meet one by one, as for `script`.
            seed: Which requests meet which fault.
            require_key: The only key that is let in; None lets everybody in.
            models: The only models there are; none named means any.
            hold_s: Seconds that the fault `timeout` holds a request, if its client waits.
            retry_after_s: Seconds that the fault `429_retry_after` asks for; its header
                Retry-After rounds them up, retry-after-ms has them exactly.
            logprobs: Whether the wish for log-probabilities is granted, passed over, or refused
                with status 400.
            port: 0 for any free one.

        Raises:
            ValueError: a name is no fault, or the shares come to more than 1.
        """
        shares: Mapping[str, float] = faults if isinstance(faults, Mapping) else {}
        plan = FaultPlan(shares, seed)
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="brain")
        manners = Manners(
            delay=delay,
            hold_s=hold_s,
            retry_after_s=retry_after_s,
            require_key=require_key,
            models=tuple(models),
            logprobs=logprobs,
        )
        self._service = ChatService(brain, manners, plan, self._workers)
        self._port = port
        self._connections: set[HttpConnection] = set()
        if not isinstance(faults, Mapping):
            self.script(*faults)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="loopback server", daemon=True
        )
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(self._listen(), self._loop)
        try:
            self._listener = listening.result()
        except OSError:
            self._end()
            raise
        self._port = self._listener.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result()
        self._end()
        if self._service.error is not None and error is None:
            raise self._service.error

    async def _listen(self) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            lambda: HttpConnection(self._service, self._connections),
            HOST,
            self._port,
            backlog=BACKLOG,
        )

    async def _hang_up(self) -> None:
        self._listener.close()
        for connection in tuple(self._connections):
            connection.abort()
        while self._connections:
            await asyncio.sleep(0)
        ended = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*ended, return_exceptions=True)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._workers.shutdown()
        self._loop.close()

    @property
    def base_url(self) -> str:
        """Root of the API, without a slash at the end."""
        return f"http://{HOST}:{self._port}/v1"

    @property
    def requests(self) -> list[Record]:
        """Every request to the API since the last reset, in order of arrival."""
        return list(self._service.log.records)

    @property
    def count(self) -> int:
        """How many requests there were, refused and failed ones among them."""
        return len(self._service.log.records)

    @property
    def peak(self) -> int:
        """The largest number in flight at once."""
        return self._service.log.peak

    @property
    def prompt_tokens(self) -> int:
        """Sum of what the replies that were sent in full reported."""
        return self._service.log.prompt_tokens

    @property
    def completion_tokens(self) -> int:
        """Sum of what the replies that were sent in full reported."""
        return self._service.log.completion_tokens

    def script(self, *replies: Scripted) -> None:
        """Say what the next chat requests meet, one by one, before the shares of faults decide.

        Each is the name of a fault, a Reply or Failure to send as it is, or None for the brain's
        own reply.

        Raises:
            ValueError: a name is no fault.
        """
        check_names(tuple(reply for reply in replies if isinstance(reply, str)))
        self._service.script.extend(replies)

    def reset(self) -> None:
        """Forget all requests and the script; the plan of faults begins anew."""
        self._service.reset()
