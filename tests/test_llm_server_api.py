"""The loopback server speaks OpenAI's protocol: clients, refusals, the brain, the command."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from tests.llm_server import LoopbackServer

ROOT = Path(__file__).parent.parent
MESSAGES: Any = [{"role": "user", "content": "rate it"}]
BODY: dict[str, Any] = {"model": "small", "messages": MESSAGES}
STRICT: dict[str, Any] = {
    "type": "object",
    "properties": {},
    "required": [],
    "additionalProperties": False,
}


# Certificates take 40 ms to load, and nothing here is encrypted.
fetch = partial(httpx.request, verify=False)


class Rating(BaseModel):
    rating: int


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(lambda _: '{"rating": 7}', require_key="sk-right") as running:
        yield running


@pytest.fixture
def client(server: LoopbackServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="sk-right", max_retries=0) as asker:
        yield asker


def post(server: LoopbackServer, body: Any, key: str = "sk-right") -> httpx.Response:
    url = f"{server.base_url}/chat/completions"
    return fetch("POST", url, content=body, headers={"authorization": f"Bearer {key}"})


def test_streams_give_the_same_content_log_probabilities_and_usage(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(
        model="small", messages=MESSAGES, logprobs=True, top_logprobs=2
    )
    chunks = list(
        client.chat.completions.create(
            model="small",
            messages=MESSAGES,
            logprobs=True,
            top_logprobs=2,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    *parts, last = chunks
    choices = [part.choices[0] for part in parts]
    assert len(choices) > 5
    assert "".join(choice.delta.content or "" for choice in choices) == '{"rating": 7}'
    assert choices[-1].finish_reason == "stop"
    tokens = [token for one in choices if one.logprobs for token in one.logprobs.content or ()]
    logprobs = whole.choices[0].logprobs
    assert logprobs is not None
    assert tokens == logprobs.content
    assert last.choices == []
    assert last.usage == whole.usage


def test_streams_report_usage_only_when_asked(
    server: LoopbackServer, client: openai.OpenAI
) -> None:
    chunks = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert server.prompt_tokens == 0


def test_langchain_gets_log_probabilities_and_usage(server: LoopbackServer) -> None:
    model = ChatOpenAI(
        model="small",
        base_url=server.base_url,
        api_key=SecretStr("sk-right"),
        logprobs=True,
        top_logprobs=11,
    )
    message = model.invoke("rate it")
    tokens = message.response_metadata["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == message.content
    (rating,) = (token for token in tokens if token["token"] == " 7")
    top = {one["token"]: math.exp(one["logprob"]) for one in rating["top_logprobs"]}
    assert {int(token) for token in top} == set(range(11))
    assert (top[" 7"], top[" 6"], top[" 8"]) == pytest.approx((0.5, 0.25, 0.125))
    assert message.usage_metadata is not None
    assert message.usage_metadata["input_tokens"] == math.ceil(len("rate it") / 4)


def test_a_structured_reply_passes_through_openai_s_own_parser(client: openai.OpenAI) -> None:
    done = client.chat.completions.parse(model="m", messages=MESSAGES, response_format=Rating)
    assert done.choices[0].message.parsed == Rating(rating=7)


def test_a_wrong_key_is_refused_and_partly_repeated(server: LoopbackServer) -> None:
    reply = post(server, json.dumps(BODY), key="sk-wrong-and-secret-1234")
    assert reply.status_code == 401
    message = reply.json()["error"]["message"]
    assert "sk-wrong" in message
    assert "1234" in message
    assert "secret" not in message
    assert fetch("POST", f"{server.base_url}/chat/completions", json=BODY).status_code == 401
    assert fetch("GET", f"{server.base_url}/models").status_code == 401
    assert [record.status for record in server.requests] == [401, 401, 401]


def test_models_are_listed_and_others_unknown() -> None:
    with LoopbackServer(lambda _: "{}", models=["small", "large"]) as server:
        with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:
            assert [model.id for model in client.models.list()] == ["small", "large"]
            client.chat.completions.create(model="large", messages=MESSAGES)
            with pytest.raises(openai.NotFoundError) as caught:
                client.chat.completions.create(model="huge", messages=MESSAGES)
            assert caught.value.code == "model_not_found"
            assert "`huge`" in str(caught.value)
        assert fetch("POST", f"{server.base_url}/responses", json=BODY).status_code == 404


def with_schema(schema: Any, name: str = "Reply", **more: Any) -> dict[str, Any]:
    inner = {"name": name, "strict": True, "schema": schema, **more}
    return {**BODY, "response_format": {"type": "json_schema", "json_schema": inner}}


def objects(**properties: Any) -> dict[str, Any]:
    return {**STRICT, "properties": properties, "required": list(properties)}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("{not json", "parse the JSON body"),
        ([], "body"),
        ({"messages": MESSAGES}, "model"),
        ({**BODY, "messages": []}, "messages"),
        ({**BODY, "messages": [{"role": "robot", "content": ""}]}, "messages.0.role"),
        ({**BODY, "temperature": 3}, "temperature"),
        ({**BODY, "max_tokens": 0}, "max_tokens"),
        ({**BODY, "top_logprobs": 3}, "top_logprobs"),
        ({**BODY, "response_format": {"type": "xml"}}, "response_format"),
        ({**BODY, "response_format": {"type": "json_schema"}}, "json_schema"),
        (with_schema(STRICT, name="no spaces"), "name"),
        (with_schema({"type": "array"}), "type 'object'"),
        (with_schema({"type": "object"}), "additionalProperties"),
        (with_schema({**objects(a={"type": "string"}), "required": []}), "'required' lacks a"),
        (with_schema(objects(a={"type": "array", "items": {"type": "object"}})), "'items'"),
        (with_schema(objects(a={"anyOf": [{"type": "object"}]})), "'anyOf', '0'"),
        (with_schema(objects(a={"type": "string", "default": ""})), "'default'"),
        (with_schema({**objects(a={"$ref": "#/$defs/A", "title": ""})}), "$ref"),
        (with_schema({**STRICT, "$defs": {"A": {"type": "object"}}}), "'$defs', 'A'"),
    ],
)
def test_a_malformed_request_is_refused(server: LoopbackServer, body: Any, complaint: str) -> None:
    server.script("500")
    reply = post(server, body if isinstance(body, str) else json.dumps(body))
    assert reply.status_code == 400
    assert complaint in reply.json()["error"]["message"]
    assert post(server, json.dumps(BODY)).status_code == 500


@pytest.mark.parametrize(
    "body",
    [
        with_schema(objects(default={"type": "string"}, items={"$ref": "#/$defs/A"})),
        with_schema({"type": "object"}, strict=False),
        {**BODY, "response_format": {"type": "json_object"}, "max_tokens": 5, "thinking": True},
        {**BODY, "messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}]},
    ],
)
def test_an_unusual_request_is_answered(server: LoopbackServer, body: dict[str, Any]) -> None:
    assert post(server, json.dumps(body)).status_code == 200


def test_the_brain_thinks_within_the_delay_and_once_about_equal_requests() -> None:
    asked: list[Any] = []

    def slow(body: dict[str, Any]) -> str:
        time.sleep(0.2)
        asked.append(body)
        return "thought"

    with LoopbackServer(slow, delay=0.3) as server:
        threads = [threading.Thread(target=post, args=(server, json.dumps(BODY))) for _ in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        post(server, json.dumps(BODY))
        records = server.requests
    assert asked == [BODY]
    assert [record.status for record in records] == [200] * 3
    times = [(record.answered_at or 0) - record.at for record in records]
    assert min(times) >= 0.3
    assert max(times) < 0.48


def test_a_client_that_gives_up_takes_no_reply_from_others() -> None:
    gate = threading.Event()

    def stuck(body: dict[str, Any]) -> str:
        gate.wait(5)
        return "thought"

    with LoopbackServer(stuck) as server:
        url = f"{server.base_url}/chat/completions"
        with pytest.raises(httpx.ReadTimeout):
            fetch("POST", url, json=BODY, timeout=0.05)
        gate.set()
        reply = fetch("POST", url, json=BODY).json()
    assert reply["choices"][0]["message"]["content"] == "thought"


def test_a_failing_brain_is_not_mistaken_for_a_fault() -> None:
    def broken(body: dict[str, Any]) -> str:
        raise KeyError("no block of tokens")

    stack = ExitStack()
    server = stack.enter_context(LoopbackServer(broken))
    reply = fetch("POST", f"{server.base_url}/chat/completions", json=BODY)
    assert reply.status_code == 500
    assert "no block of tokens" in reply.json()["error"]["message"]
    with pytest.raises(KeyError, match="no block"):
        stack.close()


@pytest.mark.parametrize(("manner", "status"), [("give", 200), ("ignore", 200), ("refuse", 400)])
def test_log_probabilities_are_given_passed_over_or_refused(manner: Any, status: int) -> None:
    wish = {"logprobs": True, "top_logprobs": 2}
    with LoopbackServer(lambda body: "7", logprobs=manner) as server:
        url = f"{server.base_url}/chat/completions"
        plain, wished = (httpx.post(url, json={**BODY, **more}).json() for more in ({}, wish))
    assert plain["choices"][0]["logprobs"] is None
    if status == 400:
        assert wished["error"]["param"] == "logprobs"
    else:
        assert (wished["choices"][0]["logprobs"] is not None) == (manner == "give")


def serve(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.llm_server", "--brain", "json:dumps", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_the_command_serves_other_processes_until_its_input_closes() -> None:
    manners = ("--delay", "0", "--fault", "429=0.5", "--require-key", "k", "--logprobs", "refuse")
    with serve(*manners) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        headers = {"authorization": "Bearer k"}
        with httpx.Client(headers=headers, verify=False) as client:
            replies = [client.post(f"{base_url}/chat/completions", json=BODY) for _ in range(20)]
            stats = client.get(base_url.replace("/v1", "/_stats")).json()
            wish = client.post(f"{base_url}/chat/completions", json={**BODY, "logprobs": True})
        assert wish.status_code == 400
        refused = [reply for reply in replies if reply.status_code == 429]
        assert 0 < len(refused) < 20
        assert (stats["count"], stats["faults"]) == (20, {"429": len(refused)})
        said = next(reply for reply in replies if reply.status_code == 200)
        assert json.loads(said.json()["choices"][0]["message"]["content"]) == BODY
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "", "")


@pytest.mark.parametrize("fault", ["4299=0.1", "429=1.5", "429"])
def test_the_command_refuses_what_it_cannot_do(fault: str) -> None:
    with serve("--fault", fault) as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "fault" in errors
    assert "Traceback" not in errors
