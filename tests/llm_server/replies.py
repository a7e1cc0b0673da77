"""What the server can say, and how that looks on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.llm_server.connection import Answer
from tests.llm_server.usage import logprobs_of, tokens_of, usage_of


@dataclass(frozen=True, slots=True)
class Reply:
    """An assistant's message, sent with status 200."""

    content: str | None
    finish_reason: str = "stop"
    refusal: str | None = None
    usage: Mapping[str, Any] | Literal["counted"] | None = "counted"
    """What to report; "counted" for the true one, None for none at all."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error status with OpenAI's error body."""

    status: int
    message: str
    code: str | None = None
    type: str = "invalid_request_error"
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer for the wire, and the usage that it reports (None if it reports none)."""

    answer: Answer
    usage: Mapping[str, Any] | None = None


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """The value as JSON; lone surrogates are escaped, so that any string can be sent."""
    return Answer(status, "application/json", json.dumps(value).encode(), headers or {})


def render_failure(failure: Failure) -> Rendered:
    """The failure as OpenAI's error body."""
    error = {
        "message": failure.message,
        "type": failure.type,
        "param": failure.param,
        "code": failure.code,
    }
    return Rendered(json_answer({"error": error}, failure.status, failure.headers))


def render_reply(reply: Reply, body: Mapping[str, Any], number: int, created: float) -> Rendered:
    """The reply as the body asks for it: a completion, or the stream of its chunks.

    Args:
        reply: What the assistant says.
        body: The request's parsed body.
        number: Ordinal number of the request, which the completion's id has.
        created: Unix time in seconds.
    """
    usage = usage_of(body, reply.content or reply.refusal or "")
    if reply.usage != "counted":
        usage = reply.usage
    head = {"id": f"chatcmpl-{number}", "created": int(created), "model": body["model"]}
    if body.get("stream"):
        options: Mapping[str, Any] = body.get("stream_options") or {}
        with_usage = bool(options.get("include_usage"))
        chunks = _chunks(reply, body, head, usage if with_usage else None)
        payload = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
        answer = Answer(200, "text/event-stream", f"{payload}data: [DONE]\n\n".encode())
        return Rendered(answer, usage if with_usage else None)
    message = {"role": "assistant", "content": reply.content, "refusal": reply.refusal}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": _logprobs(reply, body),
        "finish_reason": reply.finish_reason,
    }
    completion = {**head, "object": "chat.completion", "choices": [choice]}
    if usage is not None:
        completion["usage"] = usage
    return Rendered(json_answer(completion), usage)


def _logprobs(reply: Reply, body: Mapping[str, Any]) -> dict[str, Any] | None:
    if not body.get("logprobs") or reply.content is None:
        return None
    return {"content": logprobs_of(reply.content, body.get("top_logprobs") or 0), "refusal": None}


def _chunks(
    reply: Reply, body: Mapping[str, Any], head: Mapping[str, Any], usage: Mapping[str, Any] | None
) -> Iterator[dict[str, Any]]:
    def chunk(delta: Mapping[str, Any], **choice: Any) -> dict[str, Any]:
        whole = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **choice}
        return {**head, "object": "chat.completion.chunk", "choices": [whole]}

    yield chunk({"role": "assistant", "content": "", "refusal": reply.refusal})
    logprobs = _logprobs(reply, body)
    for index, token in enumerate(tokens_of(reply.content or "")):
        own = None if logprobs is None else {"content": [logprobs["content"][index]]}
        yield chunk({"content": token}, logprobs=own)
    yield chunk({}, finish_reason=reply.finish_reason)
    if usage is not None:
        yield {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}
