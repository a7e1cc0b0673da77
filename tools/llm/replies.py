"""What a server answered: the reply's text, and what it says it used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from tools.llm.costs import Spent

REFUSAL = "refusal"
"""Finish reason of a reply whose text is the model's refusal."""

CUT_OFF = "length"
"""Finish reason of a reply that reached the limit of output tokens."""


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """One token of a reply, and what the model might have said in its place."""

    token: str
    alternatives: Mapping[str, float]
    """Log-probability of each of the likeliest tokens at this place, the chosen one among them."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said."""

    text: str
    finish_reason: str | None
    """The server's own word, such as `stop` or CUT_OFF; REFUSAL for a refusal."""
    logprobs: tuple[TokenLogprobs, ...] | None = None
    """The reply token by token; None where they were not asked for or the server gives none."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of tokens as the server reports them; None for what it does not report."""

    tokens_in: int | None
    tokens_out: int | None
    tokens_cached: int | None
    """Those of tokens_in that the server had in its own cache."""
    tokens_reasoning: int | None
    """Those of tokens_out that the reply does not show."""

    @classmethod
    def reported(cls, usage: Any) -> Usage:
        """From the `usage` object of a chat completion, whatever it is."""
        whole = _mapping(usage)
        sent = _mapping(whole.get("prompt_tokens_details"))
        got = _mapping(whole.get("completion_tokens_details"))
        return cls(
            _count(whole.get("prompt_tokens")),
            _count(whole.get("completion_tokens")),
            _count(sent.get("cached_tokens")),
            _count(got.get("reasoning_tokens")),
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answered request."""

    reply: Reply
    usage: Usage


@dataclass(frozen=True, slots=True)
class PaidReply:
    """A reply, from the server or the ledger, and what it took when it was paid for."""

    reply: Reply
    spent: Spent


def storable(text: str) -> str:
    """Without lone surrogates, which no database takes and no reply means."""
    return text.encode(errors="replace").decode()
