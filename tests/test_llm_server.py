"""The loopback server does what it says: the tests of everything that asks it rest on that."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from tests.llm_server import ABSURD_TEXTS, ALL_FAULTS, Failure, LoopbackServer, Reply
from tests.llm_server.faults import FaultPlan

GOOD = {"experiments": [{"text": "a cup", "n": 1}, {"text": "of tea", "n": 2}], "note": "as is"}


# Certificates take 40 ms to load, and nothing here is encrypted.
fetch = partial(httpx.request, verify=False)


def brain(body: dict[str, Any]) -> str:
    return json.dumps({**GOOD, "asked": body["messages"][-1]["content"]})


def body_of(text: str = "question", **more: Any) -> dict[str, Any]:
    return {"model": "any", "messages": [{"role": "user", "content": text}], **more}


def post(server: LoopbackServer, body: Any = None, **more: Any) -> httpx.Response:
    body = body_of() if body is None else body
    return fetch("POST", f"{server.base_url}/chat/completions", json=body, **more)


def content_of(response: httpx.Response) -> Any:
    return response.json()["choices"][0]["message"]["content"]


def finish_of(response: httpx.Response) -> str:
    return response.json()["choices"][0]["finish_reason"]


GOOD_CONTENT = brain(body_of())


def test_a_good_reply_is_the_brain_s_content_with_its_usage() -> None:
    with LoopbackServer(brain) as server:
        reply = post(server, body_of("12345"), headers={"authorization": "Bearer k"})
        content = brain(body_of("12345"))
        assert content_of(reply) == content
        assert finish_of(reply) == "stop"
        usage = reply.json()["usage"]
        assert usage["prompt_tokens"] == 2
        assert usage["completion_tokens"] == math.ceil(len(content) / 4)
        assert usage["prompt_tokens_details"] == {"cached_tokens": 0}
        assert usage["completion_tokens_details"] == {"reasoning_tokens": 0}
        (record,) = server.requests
    assert (record.path, record.status, record.fault) == ("/v1/chat/completions", 200, None)
    assert record.body == body_of("12345")
    assert record.headers["authorization"] == "Bearer k"
    assert record.answered_at is not None
    assert record.at <= record.answered_at


FAULTY_REPLIES: dict[str, Callable[[httpx.Response], bool]] = {
    "429": lambda r: r.status_code == 429 and "retry-after" not in r.headers,
    "429_retry_after": lambda r: (
        r.status_code == 429
        and (r.headers["retry-after"], r.headers["retry-after-ms"]) == ("1", "50")
        and r.json()["error"]["code"] == "rate_limit_exceeded"
    ),
    "500": lambda r: r.status_code == 500 and r.json()["error"]["type"] == "server_error",
    "503": lambda r: r.status_code == 503 and r.json()["error"]["type"] == "server_error",
    "empty": lambda r: content_of(r) == "",
    "null": lambda r: content_of(r) is None and finish_of(r) == "stop",
    "prose": lambda r: GOOD_CONTENT in content_of(r) and content_of(r)[0] not in "{`",
    "fence": lambda r: content_of(r) == f"```json\n{GOOD_CONTENT}\n```",
    "wrong_schema": lambda r: not set(json.loads(content_of(r))) & set(GOOD),
    "truncated": lambda r: (
        content_of(r) == GOOD_CONTENT[: len(GOOD_CONTENT) // 2] and finish_of(r) == "length"
    ),
    "refusal": lambda r: (
        content_of(r) is None and "can't" in r.json()["choices"][0]["message"]["refusal"]
    ),
    "absurd": lambda r: (
        json.loads(content_of(r))
        == {
            **json.loads(GOOD_CONTENT),
            "experiments": [{"text": ABSURD_TEXTS[0], "n": 1}, {"text": ABSURD_TEXTS[1], "n": 2}],
        }
    ),
    "not_json": lambda r: r.status_code == 200 and "text/html" in r.headers["content-type"],
    "no_usage": lambda r: "usage" not in r.json() and content_of(r) == GOOD_CONTENT,
}


@pytest.mark.parametrize("fault", FAULTY_REPLIES)
def test_a_fault_is_what_it_is_called_and_meets_one_request(fault: str) -> None:
    with LoopbackServer(brain) as server:
        server.script(fault)
        assert FAULTY_REPLIES[fault](post(server))
        assert content_of(post(server)) == GOOD_CONTENT
        assert [record.fault for record in server.requests] == [fault, None]


def test_every_fault_has_a_test() -> None:
    assert {*FAULTY_REPLIES, "timeout", "reset"} == set(ALL_FAULTS)
    assert len(set(ALL_FAULTS)) == len(ALL_FAULTS)


def test_absurd_texts_are_all_met_by_replies_of_one_text() -> None:
    one = json.dumps({"text": "good", "kept": "good"})
    with LoopbackServer(lambda _: one, faults={"absurd": 1.0}) as server:
        replies = [json.loads(content_of(post(server))) for _ in ABSURD_TEXTS]
    assert replies == [{"text": text, "kept": "good"} for text in ABSURD_TEXTS]
    assert len(ABSURD_TEXTS[1]) == 20_000


def test_a_reset_drops_the_connection_within_the_body() -> None:
    with LoopbackServer(brain, faults=["reset"]) as server:
        url = f"{server.base_url}/chat/completions"
        with httpx.stream("POST", url, json=body_of(), verify=False) as reply:
            assert reply.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                reply.read()
        assert 0 < reply.num_bytes_downloaded < int(reply.headers["content-length"])
        assert server.prompt_tokens == server.completion_tokens == 0
        assert server.requests[0].fault == "reset"


HOLD_S = 60.0
"""Far longer than anything here takes."""


def test_a_held_request_ends_with_its_client_or_the_server() -> None:
    with LoopbackServer(brain, faults=["timeout", "timeout"], hold_s=HOLD_S) as server:
        with pytest.raises(httpx.ReadTimeout):
            post(server, timeout=0.05)
        waiting = threading.Thread(target=lambda: pytest.raises(httpx.HTTPError, post, server))
        waiting.start()
        while server.count < 2:
            time.sleep(0.002)
        assert server.peak == 1
        assert server.requests[0].status is None
        assert server.requests[0].answered_at is not None
        assert server.requests[1].answered_at is None
        records = server.requests
        left = time.monotonic()
    waiting.join()
    assert time.monotonic() - left < HOLD_S
    assert records[1].status is None
    assert records[1].answered_at is not None


def test_a_held_request_is_answered_if_its_client_waits() -> None:
    with LoopbackServer(brain, faults=["timeout"], hold_s=0.05) as server:
        assert content_of(post(server)) == GOOD_CONTENT
        (record,) = server.requests
    assert record.answered_at is not None
    assert record.answered_at - record.at >= 0.05


def test_seed_and_ordinal_number_alone_decide_on_faults() -> None:
    shares = {"429": 0.2, "empty": 0.1}
    plan = [FaultPlan(shares, seed=3).fault_of(number) for number in range(3000)]
    assert plan == [FaultPlan(shares, seed=3).fault_of(number) for number in range(3000)]
    assert plan != [FaultPlan(shares, seed=4).fault_of(number) for number in range(3000)]
    count = Counter(plan)
    assert count["429"] == pytest.approx(600, abs=90)
    assert count["empty"] == pytest.approx(300, abs=70)
    with (
        LoopbackServer(brain, faults=shares, seed=3) as server,
        httpx.Client(verify=False) as client,
    ):
        for _ in range(2):
            for number in range(20):
                url = f"{server.base_url}/chat/completions"
                client.post(url, json=body_of(str(number)))
            assert [record.fault for record in server.requests] == plan[:20]
            server.reset()
    assert set(plan[:20]) == {None, "429", "empty"}


@pytest.mark.parametrize("shares", [{"4299": 0.1}, {"429": 0.6, "500": 0.5}, {"429": -0.1}])
def test_a_plan_that_cannot_be_is_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="fault"):
        LoopbackServer(brain, faults=shares)


def test_a_script_is_followed_before_the_shares() -> None:
    failure = Failure(429, "quota", "insufficient_quota", headers={"retry-after": "7"})
    reply = Reply("so", finish_reason="content_filter", usage={"prompt_tokens": 5})
    with LoopbackServer(brain, faults={"500": 1.0}) as server:
        server.script(failure, reply, None)
        failed, said = post(server), post(server)
        assert (failed.status_code, failed.headers["retry-after"]) == (429, "7")
        assert failed.json()["error"]["code"] == "insufficient_quota"
        assert (content_of(said), finish_of(said)) == ("so", "content_filter")
        assert said.json()["usage"] == {"prompt_tokens": 5}
        assert server.prompt_tokens == 5
        assert content_of(post(server)) == GOOD_CONTENT
        assert post(server).status_code == 500
        with pytest.raises(ValueError, match="no such fault: 4299"):
            server.script("4299")
