"""Log-probabilities of a reply's tokens: out of a chat completion, into the ledger and back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from tools.llm.replies import TokenLogprobs, storable

Logprobs: TypeAlias = tuple[TokenLogprobs, ...]

_DIGITS = 6
"""Decimals that are kept: a reply is the same from the server and from the ledger."""


def reported(logprobs: Any) -> Logprobs | None:
    """From the `logprobs` object of a choice, whatever it is; None unless it has OpenAI's form."""
    content = _field(logprobs, "content")
    if not isinstance(content, Sequence) or isinstance(content, str) or not content:
        return None
    tokens = [_token(entry) for entry in cast("Sequence[Any]", content)]
    known = tuple(token for token in tokens if token is not None)
    return known if len(known) == len(tokens) else None


def to_json(logprobs: Logprobs | None) -> str | None:
    """A list of pairs: each token, and its alternatives as an object."""
    if logprobs is None:
        return None
    rows = [[each.token, each.alternatives] for each in logprobs]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def from_json(text: str | None) -> Logprobs | None:
    """What `to_json` wrote."""
    if text is None:
        return None
    return tuple(TokenLogprobs(token, alternatives) for token, alternatives in json.loads(text))


def _token(entry: Any) -> TokenLogprobs | None:
    chosen, others = _pair(entry), _field(entry, "top_logprobs")
    if chosen is None or not isinstance(others, Sequence | None):
        return None
    pairs = [_pair(other) for other in cast("Sequence[Any]", others or ())]
    if None in pairs:
        return None
    alternatives = _summed(pair for pair in pairs if pair is not None)
    # Some servers leave it out where it is not among the likeliest.
    return TokenLogprobs(chosen[0], _summed([chosen]) | alternatives)


def _pair(entry: Any) -> tuple[str, float] | None:
    token, logprob = _field(entry, "token"), _field(entry, "logprob")
    if not isinstance(token, str) or isinstance(logprob, bool):
        return None
    if not isinstance(logprob, int | float) or math.isnan(logprob):
        return None
    return storable(token), float(logprob)


def _summed(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Tokens that read alike, such as pieces of undecodable bytes, are one; impossible ones none.

    A log-probability above zero is taken for rounding.
    """
    shares: dict[str, float] = {}
    for token, logprob in pairs:
        shares[token] = shares.get(token, 0.0) + math.exp(min(0.0, logprob))
    logs = {token: math.log(share) for token, share in shares.items() if share > 0.0}
    return {token: round(min(0.0, log), _DIGITS) for token, log in logs.items()}


def _field(value: Any, name: str) -> Any:
    return cast("Mapping[str, Any]", value).get(name) if isinstance(value, Mapping) else None
