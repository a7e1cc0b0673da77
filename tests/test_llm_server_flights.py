"""The loopback server counts what is in flight: figures that benchmarks rest on."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import openai

from tests.llm_server import LoopbackServer
from tests.llm_server.connection import HttpConnection
from tests.llm_server.faults import FaultPlan
from tests.llm_server.records import Log
from tests.llm_server.server import ChatService, Manners

# Certificates take 40 ms to load, and nothing here is encrypted.
fetch = partial(httpx.request, verify=False)


def brain(body: dict[str, Any]) -> str:
    return json.dumps({"asked": body["messages"][-1]["content"]})


def body_of(text: str) -> dict[str, Any]:
    return {"model": "any", "messages": [{"role": "user", "content": text}]}


def stats_of(base_url: str) -> dict[str, Any]:
    return fetch("GET", base_url.replace("/v1", "/_stats")).json()


async def ask_many(base_url: str, number: int, limit: int, **client: Any) -> Counter[str]:
    """Ask with so many in flight at most; how often each kind of outcome came."""
    gate = asyncio.Semaphore(limit)
    async with openai.AsyncOpenAI(
        base_url=base_url, api_key="none", max_retries=0, **client
    ) as asker:

        async def ask(index: int) -> str:
            async with gate:
                try:
                    await asker.chat.completions.create(**body_of(str(index)))
                except openai.OpenAIError as error:
                    return type(error).__name__
                return "answered"

        return Counter(await asyncio.gather(*map(ask, range(number))))


def test_the_peak_is_exact() -> None:
    with LoopbackServer(brain, delay=0.1) as server:
        for limit in (1, 3, 7):
            server.reset()
            number = 3 * limit
            outcomes = asyncio.run(ask_many(server.base_url, number, limit))
            assert (server.peak, server.count) == (limit, number)
            assert outcomes == {"answered": number}


def test_clients_that_gave_up_do_not_count_as_in_flight() -> None:
    with LoopbackServer(brain, faults={"timeout": 0.6}) as server:
        outcomes = asyncio.run(ask_many(server.base_url, 16, 4, timeout=0.2))
        held = sum(record.fault == "timeout" for record in server.requests)
        assert outcomes["APITimeoutError"] >= held > 4
        assert (server.peak, server.count) == (4, 16)


class Wire(asyncio.Transport):
    """A socket that takes everything and says nothing."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass


def test_a_client_may_ask_anew_in_the_turn_in_which_it_gives_up() -> None:
    raw = json.dumps(body_of("question")).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(raw)}\r\n\r\n"

    async def turns() -> Log:
        manners = Manners(delay=30, hold_s=30, retry_after_s=1, require_key=None, models=())
        with ThreadPoolExecutor() as workers:
            service = ChatService(brain, manners, FaultPlan({}, 0), workers)
            first, second = (HttpConnection(service, set()) for _ in range(2))
            for connection in (first, second):
                connection.connection_made(Wire())
            first.data_received(head.encode() + raw)
            await asyncio.sleep(0)
            second.data_received(head.encode() + raw)
            first.eof_received()
            await asyncio.sleep(0)
            second.eof_received()
        return service.log

    log = asyncio.run(turns())
    assert (len(log.records), log.peak) == (2, 1)


def test_statistics_are_the_same_from_another_process() -> None:
    with LoopbackServer(brain, delay=0.1, faults=["429", "reset", "no_usage"]) as server:
        outcomes = asyncio.run(ask_many(server.base_url, 8, 2))
        assert outcomes == {"RateLimitError": 1, "APIConnectionError": 1, "answered": 6}
        stats, records = stats_of(server.base_url), server.requests
        assert stats["count"] == server.count == 8
        assert stats["peak"] == server.peak == 2
        assert stats["faults"] == {"429": 1, "reset": 1, "no_usage": 1}
        tokens = math.ceil(len(brain(body_of("0"))) / 4)
        assert stats["completion_tokens"] == server.completion_tokens == 5 * tokens
        assert stats["prompt_tokens"] == server.prompt_tokens == 5
        assert stats["first_at"] == min(record.at for record in records)
        assert stats["last_at"] == max(record.answered_at or 0 for record in records)
        assert 0 < stats["busy_s"] <= stats["last_at"] - stats["first_at"]
        seen = fetch("GET", server.base_url.replace("/v1", "/_requests")).json()
        assert [one["body"] for one in seen] == [record.body for record in records]
        assert [one["fault"] for one in seen] == [record.fault for record in records]
        fetch("POST", server.base_url.replace("/v1", "/_reset"))
        assert server.requests == []
        assert stats_of(server.base_url)["count"] == server.prompt_tokens == 0


def test_busy_time_is_the_time_with_requests_in_flight() -> None:
    with LoopbackServer(brain, delay=0.05) as server:
        asyncio.run(ask_many(server.base_url, 4, 4))
        time.sleep(0.2)
        asyncio.run(ask_many(server.base_url, 4, 4))
        stats = stats_of(server.base_url)
    assert 0.1 <= stats["busy_s"] <= stats["last_at"] - stats["first_at"] - 0.2


async def parallel_requests(port: int, number: int) -> list[bytes]:
    """Plain sockets: what the test measures is the server, not its client."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(number)]
    for index, (_, writer) in enumerate(connections):
        body = json.dumps(body_of(f"{index} " + "word " * 2000)).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    replies = await asyncio.gather(*(reader.read() for reader, _ in connections))
    for _, writer in connections:
        writer.close()
    return replies


def test_sixty_four_at_once_do_not_wait_for_each_other() -> None:
    with LoopbackServer(brain, delay=0.5) as server:
        port = int(server.base_url.rsplit(":", 1)[1].removesuffix("/v1"))
        replies = asyncio.run(parallel_requests(port, 64))
        assert all(reply.startswith(b"HTTP/1.1 200 OK") for reply in replies)
        assert server.peak == 64
        records = server.requests
    assert all((record.answered_at or 0) - record.at >= 0.5 for record in records)
