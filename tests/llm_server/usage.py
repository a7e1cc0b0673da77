"""Tokens of the server's make-believe model: how many there are, and how probable each was."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

CHARACTERS_PER_TOKEN = 4
DIGITS = range(11)

_TOKEN = re.compile(r" ?\w+| ?[^\w\s]|\s+")
_NUMBER = re.compile(r"( ?)(\d+)")


def usage_of(body: Mapping[str, Any], said: str) -> dict[str, Any]:
    """OpenAI's `usage` of a request's body and the text that answers it."""
    asked = sum(_length(message.get("content")) for message in body["messages"])
    tokens_in = math.ceil(asked / CHARACTERS_PER_TOKEN)
    tokens_out = math.ceil(len(said) / CHARACTERS_PER_TOKEN)
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _length(content: str | list[dict[str, Any]] | None) -> int:
    if isinstance(content, list):
        return sum(len(part.get("text", "")) for part in content)
    return len(content or "")


def tokens_of(text: str) -> list[str]:
    """Pieces of the text: words, signs and white space. Joined, they are the text."""
    return _TOKEN.findall(text)


def logprobs_of(text: str, alternatives: int) -> list[dict[str, Any]]:
    """OpenAI's `logprobs.content`: each token with its `alternatives` most probable ones.

    The n-th most probable token has probability 2**-n, and the one that was said is the first.
    Beside a number stand the other numbers from 0 to 10, the nearest first.
    """
    return [
        {
            **_scored(token, 1),
            "top_logprobs": [
                _scored(other, rank)
                for rank, other in enumerate(_ranked(token)[:alternatives], start=1)
            ],
        }
        for token in tokens_of(text)
    ]


def _scored(token: str, rank: int) -> dict[str, Any]:
    data = token.encode("utf-8", "surrogatepass")
    return {"token": token, "logprob": rank * math.log(0.5), "bytes": list(data)}


def _ranked(token: str) -> list[str]:
    number = _NUMBER.fullmatch(token)
    made_up = [f"{token}~{index}" for index in range(1, 20)]
    if number is None:
        return [token, *made_up]
    space, said = number[1], int(number[2])
    near = sorted(set(DIGITS) - {said}, key=lambda digit: (abs(digit - said), digit))
    return [token, *(f"{space}{digit}" for digit in near), *made_up]
