"""Expected values: what the log-probabilities of a reply's tokens say of the numbers in it."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

from tools.llm.replies import Reply, TokenLogprobs

_DIGITS = re.compile(r"[0-9]+")
_NUMBER = re.compile(r"(?P<digits>[0-9]{1,3})(?P<end>(?:[\s,\]}].*)?)", re.DOTALL)
_CANONICAL = re.compile(r"0|[1-9][0-9]{0,3}")
"""As JSON writes whole numbers, those that could be meant."""


def expectations(
    reply: Reply, field: str, said: Sequence[int], highest: int
) -> tuple[float, ...] | None:
    """The expected value of each number that a reply gives.

    That is the sum of v * p(v) over the sum of p(v), for those v from 0 to `highest` that are
    among the alternatives at the number's place. Bills et al. 2023 ("Language models can explain
    neurons in language models") score simulations so.

    Args:
        reply: JSON with the numbers, alone or as a list, in `field`.
        field: its name.
        said: the numbers as they were read.
        highest: the largest number there can be.

    Returns:
        As many as `said`; None without log-probabilities, or where they are not about these
        numbers.
    """
    tokens = reply.logprobs or ()
    begins = list(accumulate((len(each.token) for each in tokens), initial=0))
    # In the tokens' own text, for the reply's may have had something taken out.
    starts = _starts("".join(each.token for each in tokens), field, said)
    values: list[float] = []
    for start in starts or ():
        index = bisect_right(begins, start) - 1
        value = _expected(_shares(tokens, index, start - begins[index]), highest)
        if value is None:
            return None
        values.append(value)
    return tuple(values) if starts is not None else None


def _starts(text: str, field: str, said: Sequence[int]) -> list[int] | None:
    """Where the numbers begin; None if the last such field has others."""
    fields = list(re.finditer(rf'"{field}"\s*:\s*\[?(?P<list>[0-9,\s]*)', text))
    if not fields:
        return None
    numbers = list(_DIGITS.finditer(text, *fields[-1].span("list")))
    if [number[0] for number in numbers] != [str(value) for value in said]:
        return None
    return [number.start() for number in numbers]


def _shares(tokens: Sequence[TokenLogprobs], index: int, offset: int) -> Mapping[int, float]:
    """Probability of each number that may stand where one begins, `offset` into a token.

    A number may go on in the next token, as "10" does in "1" and "0": then what it is said to be
    depends on the next one's alternatives, and of other numbers only the first token is known.
    """
    chosen = tokens[index].token
    lead = chosen[:offset].strip()
    begun = _begun(chosen, lead)
    after = tokens[index + 1 : index + 2]
    shares: dict[int, float] = {}
    for text, logprob in tokens[index].alternatives.items():
        number = _begun(text, lead)
        if number is None:
            continue
        open_ended = number == begun and not number[1]
        rests = _rests(after[0]) if open_ended and after else {"": 1.0}
        for rest, weight in rests.items():
            if _CANONICAL.fullmatch(number[0] + rest):
                value = int(number[0] + rest)
                shares[value] = shares.get(value, 0.0) + weight * math.exp(logprob)
    return shares


def _begun(text: str, lead: str) -> tuple[str, str] | None:
    """Digits that a token begins a number with, and what ends it there.

    Args:
        text: the token.
        lead: what stands before the number in the token that was said, such as a bracket.
    """
    text = text.lstrip()
    if not text.startswith(lead):
        return None
    number = _NUMBER.fullmatch(text[len(lead) :].lstrip())
    return None if number is None else (number["digits"], number["end"])


def _rests(token: TokenLogprobs) -> Mapping[str, float]:
    """Digits with which a token may carry a number on, or none, with their shares."""
    shares: dict[str, float] = {}
    for text, logprob in token.alternatives.items():
        digits = _DIGITS.match(text)
        rest = digits[0] if digits else ""
        shares[rest] = shares.get(rest, 0.0) + math.exp(logprob)
    total = sum(shares.values())
    return {rest: share / total for rest, share in shares.items()}


def _expected(shares: Mapping[int, float], highest: int) -> float | None:
    known = {value: share for value, share in shares.items() if value <= highest}
    total = sum(known.values())
    return sum(value * share for value, share in known.items()) / total if total else None
