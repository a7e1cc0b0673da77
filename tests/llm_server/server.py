"""The endpoints: chat completions and models, and statistics for other processes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Literal

from tests.llm_server.checks import refused_body, refused_key, refused_logprobs
from tests.llm_server.connection import Answer, Request
from tests.llm_server.faults import HTML, FaultPlan, changed, failure_of
from tests.llm_server.records import Log, Record
from tests.llm_server.replies import (
    Failure,
    Rendered,
    Reply,
    json_answer,
    render_failure,
    render_reply,
)

Brain = Callable[[dict[str, Any]], str]
Scripted = str | Reply | Failure | None
"""What the next request meets: a fault by name, this very reply or failure, or nothing special."""

LogprobsManner = Literal["give", "ignore", "refuse"]
"""What becomes of the wish for log-probabilities."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How the server behaves; times in seconds."""

    delay: float
    """From a request's arrival to its answer, the brain's time within it."""
    hold_s: float
    """How long the fault `timeout` holds a request."""
    retry_after_s: float
    require_key: str | None
    models: tuple[str, ...]
    """The models there are; none named means any."""
    logprobs: LogprobsManner = "give"


class ChatService:
    """Answers requests. Everything but `log`, `script` and `error` is the loop's thread's own."""

    def __init__(self, brain: Brain, manners: Manners, plan: FaultPlan, workers: Executor) -> None:
        self.log = Log()
        self.script: deque[Scripted] = deque()
        self.error: BaseException | None = None
        """The first failure of the brain, or of the server itself."""
        self._brain = brain
        self._manners = manners
        self._plan = plan
        self._workers = workers
        self._replies: dict[bytes, asyncio.Future[str]] = {}
        self._flights: dict[Request, tuple[Log, Record]] = {}
        self._usage: dict[Request, Mapping[str, Any]] = {}

    def arrived(self, request: Request) -> None:
        """See Service."""
        if request.path.startswith("/_"):
            return
        record = Record(request.path, request.headers, _parsed(request.body), request.at)
        self._flights[request] = self.log, record
        self.log.begin(record, request.at)

    def left(self, request: Request, answer: Answer | None) -> None:
        """See Service."""
        usage = self._usage.pop(request, None)
        if request not in self._flights:
            return
        log, record = self._flights.pop(request)
        log.end(record, None if answer is None else answer.status, time.monotonic())
        if usage is not None and answer is not None:
            log.give_out(usage)

    def broken(self, request: Request, error: BaseException) -> Answer:
        """See Service."""
        logger.error("no answer to a request", exc_info=error)
        self.error = self.error or error
        message = f"the test server's brain or the server itself failed: {error!r}"
        return render_failure(Failure(500, message, type="server_error")).answer

    async def answer(self, request: Request) -> Answer:
        """See Service."""
        if request.path.startswith("/_"):
            return self._control(request.method, request.path)
        log, record = self._flights[request]
        refusal = refused_key(request.headers, self._manners.require_key)
        if refusal is not None:
            return render_failure(refusal).answer
        match request.method, request.path:
            case "POST", "/v1/chat/completions":
                rendered = await self._chat(request, log, record)
                if rendered.usage is not None:
                    self._usage[request] = rendered.usage
                return rendered.answer
            case "GET", "/v1/models":
                return json_answer({"object": "list", "data": _models(self._manners.models)})
            case _:
                message = f"Unknown request URL: {request.method} {request.path}."
                return render_failure(Failure(404, message, "unknown_url")).answer

    async def _chat(self, request: Request, log: Log, record: Record) -> Rendered:
        refusal = refused_body(record.body, self._manners.models)
        if refusal is None and self._manners.logprobs == "refuse":
            refusal = refused_logprobs(record.body)
        if refusal is not None:
            return render_failure(refusal)
        number, log.asked = log.asked, log.asked + 1
        planned = self.script.popleft() if self.script else self._plan.fault_of(number)
        rendered = await self._planned(planned, request, record, number)
        delay = self._manners.hold_s if planned == "timeout" else self._manners.delay
        await asyncio.sleep(request.at + delay - time.monotonic())
        return rendered

    async def _planned(
        self, planned: Scripted, request: Request, record: Record, number: int
    ) -> Rendered:
        fault = planned if isinstance(planned, str) else None
        record.fault = fault
        failure = failure_of(fault, self._manners.retry_after_s)
        if isinstance(planned, Failure):
            failure = planned
        if failure is not None:
            return render_failure(failure)
        if fault == "not_json":
            return Rendered(Answer(200, "text/html", HTML))
        if isinstance(planned, Reply):
            reply = planned
        else:
            reply = changed(Reply(await self._thought(request.body, record.body)), fault, number)
        heard = record.body
        if self._manners.logprobs == "ignore":
            heard = {**heard, "logprobs": False}
        rendered = render_reply(reply, heard, number, time.time())
        if fault == "reset":
            return Rendered(replace(rendered.answer, cut=True))
        return rendered

    async def _thought(self, raw: bytes, body: dict[str, Any]) -> str:
        key = hashlib.blake2b(raw).digest()
        reply = self._replies.get(key)
        if reply is None:
            loop = asyncio.get_running_loop()
            reply = loop.run_in_executor(self._workers, self._brain, body)
            self._replies[key] = reply
        # Another request may wait for the same reply: one that is cancelled must not cancel it.
        return await asyncio.shield(reply)

    def _control(self, method: str, path: str) -> Answer:
        match method, path:
            case "GET", "/_stats":
                return json_answer(self.log.stats(time.monotonic()))
            case "GET", "/_requests":
                return json_answer(self.log.as_json())
            case "POST", "/_reset":
                self.reset()
                return json_answer({})
            case _:
                return render_failure(Failure(404, f"no such thing: {method} {path}")).answer

    def reset(self) -> None:
        """Forget all requests and the script; the plan of faults begins anew.

        Requests still in flight count for the time before.
        """
        self.script.clear()
        self.log = Log()


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _models(names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"id": name, "object": "model", "created": 0, "owned_by": "loopback"}
        for name in names or ("any",)
    ]
