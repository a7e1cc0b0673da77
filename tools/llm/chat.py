"""The one place that builds ChatOpenAI: settings in, single attempts at a reply out."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import openai
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from tools.errors import ConfigError
from tools.llm.failures import PassingFailure, Server, explained
from tools.llm.logprobs import Logprobs, reported
from tools.llm.replies import REFUSAL, Answer, Reply, Usage, storable
from tools.llm.settings import LlmSettings
from tools.llm.structured import response_format

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY_ENV = "OPENAI_API_KEY"
LONGEST_CONNECT_S = 10.0
NO_KEY = "none"
"""Sent to servers that want no key, for the client cannot do without."""

Message: TypeAlias = Mapping[str, str]
"""`role` and `content`."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    body: Mapping[str, Any]
    text: str
    """The body as JSON."""
    hash: str
    """Of the text: model, parameters, messages and schema. Equal ones have equal replies."""


def http_client(concurrency: int) -> openai.DefaultAsyncHttpxClient:
    """What all chats send through, with room for that many requests at once. To be closed."""
    # The class is not exported, and which HTTP library it is from depends on openai's version.
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)
    return openai.DefaultAsyncHttpxClient(
        limits=limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    )


class Chat:
    """One model on one server, with the settings of a role."""

    def __init__(self, settings: LlmSettings, http: openai.DefaultAsyncHttpxClient) -> None:
        """Look up the key; nothing is sent.

        Raises:
            ConfigError: the key's environment variable is not set, or base_url is no URL.
        """
        base_url = _base_url(settings)
        own = urlsplit(base_url).hostname == urlsplit(OPENAI_URL).hostname
        key_env = settings.api_key_env or (OPENAI_KEY_ENV if own else None)
        self.server = Server(settings.model, base_url, key_env, _key(key_env))
        self.price = None if settings.prices is None else settings.prices[settings.model]
        self._timeout_s = settings.timeout_s
        self._parameters = _parameters(settings, own=own)
        self._client = ChatOpenAI(
            model=settings.model,
            base_url=base_url,
            api_key=self.server.key,
            http_async_client=http,
            timeout=openai.Timeout(None, connect=min(LONGEST_CONNECT_S, settings.timeout_s)),
            # Retries are counted here, one by one.
            max_retries=0,
            use_responses_api=False,
            # Whatever listens to the graph must not change what is sent, nor answer in its place.
            disable_streaming=True,
            cache=False,
            # Unless told so, it takes one from OPENAI_PROXY, which clashes with the client above.
            openai_proxy=None,
        )

    def request(
        self, messages: Sequence[Message], reply: type[BaseModel], top_logprobs: int = 0
    ) -> Request:
        """A request for a reply of that shape, with so many alternatives to each of its tokens."""
        wish = {"logprobs": True, "top_logprobs": top_logprobs} if top_logprobs else {}
        body = {
            "model": self.server.model,
            "messages": list(messages),
            "response_format": response_format(reply),
            **wish,
            **self._parameters,
        }
        text = json.dumps(body)
        return Request(body, text, blake2b(text.encode(), digest_size=16).hexdigest())

    async def send(self, request: Request) -> Answer:
        """Make one attempt.

        Raises:
            PassingFailure: it failed, and another attempt may not.
            RequestRefused: the server refuses this request.
            LanguageModelUnusable: the server refuses any request.
        """
        # Through extra_body, for the client reads replies to a response_format of its own itself,
        # and drops those that it cannot read together with their usage.
        body = {key: value for key, value in request.body.items() if key != "messages"}
        try:
            async with asyncio.timeout(self._timeout_s):
                message = await self._client.ainvoke(request.body["messages"], extra_body=body)
        except TimeoutError:
            raise PassingFailure(f"no reply within {self._timeout_s:g} s") from None
        except openai.APIError as error:
            # Not as the cause: its message may repeat the key.
            raise explained(error, self.server) from None
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            # langchain-openai takes a body apart without looking whether it is a completion, and
            # JSON may be nested deeper than Python reads.
            what = self.server.quote(str(error))
            raise PassingFailure(f"a body that is no chat completion ({what})") from None
        return self._read(message)

    def _read(self, message: AIMessage) -> Answer:
        facts: dict[str, Any] = message.response_metadata
        refusal = message.additional_kwargs.get("refusal")
        finish = facts.get("finish_reason")
        finish = None if finish is None else self.server.without_key(str(finish))
        reason = REFUSAL if refusal else finish
        text = self.server.without_key(str(refusal) if refusal else message.text)
        reply = Reply(storable(text), reason, self._logprobs(facts.get("logprobs")))
        return Answer(reply, Usage.reported(facts.get("token_usage")))

    def _logprobs(self, told: Any) -> Logprobs | None:
        """What the server reports; nothing where the key could be read out of it."""
        found = reported(told)
        if found is None:
            return None
        said = "".join(each.token for each in found)
        others = "\n".join(token for each in found for token in each.alternatives)
        return found if all(self.server.without_key(t) == t for t in (said, others)) else None


def _parameters(settings: LlmSettings, *, own: bool) -> dict[str, Any]:
    """Whatever is sent beside model, messages and schema, in the names that the server knows."""
    # OpenAI's newer models refuse the old name, and Ollama knows no other.
    limit = "max_completion_tokens" if own else "max_tokens"
    parameters: dict[str, Any] = {}
    if not settings.extra_body.keys() & {"max_completion_tokens", "max_tokens"}:
        parameters[limit] = settings.max_output_tokens
    if settings.temperature is not None:
        parameters["temperature"] = settings.temperature
    if settings.reasoning_effort is not None:
        parameters["reasoning_effort"] = settings.reasoning_effort
    return {**parameters, **settings.extra_body}


def _base_url(settings: LlmSettings) -> str:
    if settings.base_url is None:
        return OPENAI_URL
    try:
        parts = urlsplit(settings.base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"llm.base_url: {settings.base_url!r} is no address of a server; "
            "write it like http://localhost:8000/v1."
        )
    return settings.base_url.rstrip("/")


def _key(variable: str | None) -> SecretStr:
    if variable is None:
        return SecretStr(NO_KEY)
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"the environment variable {variable} holds no key; set it (export {variable}=...), "
            "name another one in llm.api_key_env, or set llm.base_url for a server without keys."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            f"the environment variable {variable} holds a character that no key has, such as a "
            "blank or a typographic quotation mark; set it to the key alone."
        )
    return SecretStr(key)
