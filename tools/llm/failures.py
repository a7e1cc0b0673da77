"""What a failed attempt means: try again, give up this question, or give up altogether."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, cast

import openai
from pydantic import SecretStr

from tools.errors import LanguageModelError, LanguageModelUnusable, RequestRefused

LONGEST_QUOTE = 400
SHORTEST_SECRET = 4
"""Shorter keys hide nothing, and are parts of ordinary words."""

GO_ON = (
    "`saesage explain CONFIG` with a corrected base_url or api_key_env goes on with the same run; "
    "`resume` uses the stored ones."
)
"""How they reach a run that has begun."""

_PASSING = {408, 409, 425, 429}
_ESCAPED = re.compile(r"\\(?:u00([0-7][0-9a-f])|(/))", re.IGNORECASE)
"""What JSON may write otherwise than it reads: a character of ASCII by its number, a slash."""
_KEY = re.compile(r"\bsk-[\w*.-]+|\bBearer\s+\S+|\S*\*{3,}\S*", re.IGNORECASE)
"""What looks like a key, or like what is left of one between asterisks."""

_HINTS: tuple[tuple[str, str], ...] = (
    (
        r"context.{0,20}(length|window|size)|maximum context|prompt is too long|too many tokens",
        "the prompt does not fit: use a model or a server setting with a longer context, "
        "or lower llm.max_output_tokens",
    ),
    (
        r"max_completion_tokens|max_tokens",
        "set the limit under the name that the server knows, such as "
        "llm.extra_body: {max_completion_tokens: 8192}",
    ),
    (
        r"response_format|json_schema|grammar",
        "set what the server knows instead, such as "
        "llm.extra_body: {response_format: {type: json_object}}",
    ),
    (r"temperature", "leave llm.temperature out"),
    (r"reasoning_effort", "leave llm.reasoning_effort out"),
)
"""What the server's words in a refused request point to; first match wins."""


class PassingFailure(Exception):
    """An attempt failed in a way that another one may not."""

    def __init__(self, what: str, *, after: float | None = None, unreachable: bool = False) -> None:
        """Keep what happened.

        Args:
            what: What happened, for people.
            after: Seconds that the server asks to wait.
            unreachable: Whether nothing answers at the address.
        """
        super().__init__(what)
        self.what = what
        self.after = after
        self.unreachable = unreachable


@dataclass(frozen=True, slots=True)
class Server:
    """Who is asked, for messages."""

    model: str
    base_url: str
    key_env: str | None
    """The environment variable that holds the key; None if no key is sent."""
    key: SecretStr

    def without_key(self, text: str) -> str:
        """The text, in which the server may have repeated the key, without it."""
        secret = self.key.get_secret_value()
        if self.key_env is None or len(secret) < SHORTEST_SECRET:
            return text
        plain = _ESCAPED.sub(_spelt_out, text)
        # Escaped in JSON, it would be hidden here and come out when the reply is read.
        return (plain if secret in plain else text).replace(secret, "[key]")

    def quote(self, text: str) -> str:
        """The server's words, short and without keys: servers repeat those they refuse, in part."""
        text = " ".join(_KEY.sub("[key]", self.without_key(text)).split())
        return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def _spelt_out(escaped: re.Match[str]) -> str:
    return chr(int(escaped[1], 16)) if escaped[1] else escaped[2]


def explained(error: openai.APIError, server: Server) -> PassingFailure | LanguageModelError:
    """The error that an attempt's failure amounts to."""
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, server)
    if isinstance(error, openai.APIConnectionError):
        return _of_connection(error, server)
    return PassingFailure(f"unreadable reply ({server.quote(error.message)})")


def unreachable(server: Server, what: str) -> LanguageModelUnusable:
    """Nothing answers at the address, however often it was tried."""
    return LanguageModelUnusable(
        f"no language model answers at {server.base_url} ({what}); "
        f"start the server, or correct llm.base_url. {GO_ON}"
    )


def _of_connection(error: openai.APIConnectionError, server: Server) -> PassingFailure:
    causes = _causes(error)
    # By name, for the openai library has used two HTTP libraries whose errors share only names.
    if "ConnectTimeout" in causes:
        return PassingFailure("no connection in time", unreachable=True)
    if "ConnectError" in causes:
        return PassingFailure(server.quote(list(causes.values())[-1]), unreachable=True)
    return PassingFailure(f"connection dropped ({list(causes)[-1]})")


def _causes(error: BaseException) -> dict[str, str]:
    """Names and messages of an error and those behind it, outermost first."""
    causes: dict[str, str] = {}
    cause: BaseException | None = error
    while cause is not None:
        causes[type(cause).__name__] = str(cause)
        cause = cause.__cause__
    return causes


def _of_status(error: openai.APIStatusError, server: Server) -> PassingFailure | LanguageModelError:
    status = error.status_code
    told = server.quote(_words(error.body)) or "no reason given"
    if status == 429 and "insufficient_quota" in (error.code, error.type):
        return LanguageModelUnusable(
            f"the account at {server.base_url} has no quota left: {told} "
            "Raise its limit or its balance, then resume."
        )
    if status in _PASSING or status >= 500:
        return PassingFailure(f"HTTP {status}: {told}", after=retry_after(error.response.headers))
    remedy = _remedy(status, server)
    # OpenAI forbids (403) log-probabilities of some models; asked without them, they answer.
    if remedy is not None and "logprobs" not in told:
        return LanguageModelUnusable(f"{server.base_url} answered {status}: {told} {remedy}")
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, told, re.I)), None)
    advice = f" Perhaps {hint}." if hint else ""
    return RequestRefused(f"{server.model} refused the request with {status}: {told}{advice}")


def _remedy(status: int, server: Server) -> str | None:
    """What to do when no request at all can succeed; None when another one may."""
    variable = server.key_env
    match status:
        case 401 if variable is None:
            return (
                "It wants a key: put it into an environment variable, "
                f"and that variable's name into llm.api_key_env. {GO_ON}"
            )
        case 401:
            return f"Put a valid key into the environment variable {variable}."
        case 402:
            return "Pay for the account, then resume."
        case 403:
            key = f"the key in {variable}" if variable else "llm.api_key_env"
            return f"Check {key} and whether it may use model {server.model}. {GO_ON}"
        case 404 | 405:
            return (
                f"Check the model's name, llm.model={server.model}, and llm.base_url, "
                f"which usually ends in /v1. {GO_ON}"
            )
        case _:
            return None


def _words(body: object) -> str:
    """The reason in an error's body, in whichever of the usual forms."""
    if not isinstance(body, Mapping):
        return "" if body is None else str(body)
    named = cast("Mapping[str, Any]", body)
    said = next((named[key] for key in ("message", "detail", "error") if named.get(key)), None)
    return json.dumps(dict(named)) if said is None else _words(said)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a response asks to wait; None if it does not say, or says nothing sensible."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
            return float(value) * unit
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())
