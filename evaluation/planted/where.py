"""Places in a text, to say where a planted feature fires."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.planted.text import Mask, Text


@dataclass(frozen=True)
class Where:
    """Tokens of a text of which something is true; depends on nothing after the token."""

    holds: Callable[[Text], Mask]

    def __and__(self, other: Where) -> Where:
        return Where(lambda text: self.holds(text) & other.holds(text))

    def __or__(self, other: Where) -> Where:
        return Where(lambda text: self.holds(text) | other.holds(text))

    def __invert__(self) -> Where:
        return Where(lambda text: ~self.holds(text))


def surface(holds: Callable[[str], bool]) -> Where:
    """The token's surface meets a predicate."""
    return Where(lambda text: text.where(holds))


def token(*surfaces: str) -> Where:
    """The token is one of these, spaces counted."""
    return surface(frozenset(surfaces).__contains__)


def spelling(*words: str) -> Where:
    """The token is one of these words, whatever its case, with or without a space before it."""
    known = frozenset(words)
    return surface(lambda found: found.removeprefix(" ").lower() in known)


def like(pattern: str) -> Where:
    """The whole surface matches a regular expression."""
    compiled = re.compile(pattern, re.DOTALL)
    return surface(lambda found: compiled.fullmatch(found) is not None)


def right_after(what: Where) -> Where:
    """The token before is one of those."""
    return Where(lambda text: text.before(what.holds(text)))


def within(reach: int, what: Where) -> Where:
    """One of the `reach` tokens before is one of those."""

    def holds(text: Text) -> Mask:
        latest = text.latest_before(what.holds(text))
        return (latest >= 0) & (np.arange(len(text)) - latest <= reach)

    return Where(holds)


def earlier(what: Where) -> Where:
    """Some token before, however far back in the text, is one of those."""
    return Where(lambda text: text.latest_before(what.holds(text)) >= 0)


def among_first(count: int) -> Where:
    """The token is one of the first of its text."""
    return Where(lambda text: text.positions < count)


def _breaks(found: str) -> bool:
    return "\n" in found


def _line_starts(text: Text) -> Mask:
    blank, breaks = text.where(str.isspace), text.where(_breaks)
    return ~blank & (text.latest_before(~blank) <= text.latest_before(breaks & blank))


LINE_START = Where(_line_starts)
"""The token is the first on its line that is not white space; a text begins with a line."""


def _since_break(text: Text, number: Callable[[str], int]) -> NDArray[np.int64]:
    """Sum of a number over the tokens between the latest line break and each token."""
    counts = text.numbers(number, np.int64)
    latest = text.latest_before(text.where(_breaks))
    sums = np.concatenate([[0], np.cumsum(counts)])
    return sums[: len(text)] - sums[np.maximum(latest, text.starts)]


def _quotes(found: str) -> int:
    return found.rpartition("\n")[2].replace('"""', "").count('"')


def _hashes(found: str) -> int:
    return found.rpartition("\n")[2].count("#")


IN_QUOTES = Where(lambda text: _since_break(text, _quotes) % 2 == 1)
"""After an odd number of double quotes on its line; triple ones are not counted."""

IN_COMMENT = Where(lambda text: _since_break(text, _hashes) > 0)
"""After a `#` on its line."""


def _balance(found: str) -> int:
    return sum((char in "([{") - (char in ")]}") for char in found)


def _in_brackets(text: Text) -> Mask:
    balance = text.numbers(_balance, np.int64)
    depth = text.sum_before(balance)
    # A bracket that closes what was opened before the text began closes nothing of it. Setting
    # each text below the one before keeps its own minimum apart from theirs.
    shelf = np.cumsum(text.positions == 0) * (2 * int(np.abs(balance).sum()) + 1)
    lowest = np.minimum.accumulate(np.minimum(depth, 0) - shelf) + shelf
    return depth > lowest


IN_BRACKETS = Where(_in_brackets)
"""After a bracket, round, square or curly, that was opened in the text and is not closed yet."""


def _seen(text: Text, keys: NDArray[np.int64]) -> Mask:
    """Tokens whose key stood earlier in the same text."""
    order = np.lexsort((keys, text.starts))
    same = np.zeros(len(text), np.bool_)
    a, b = order[:-1], order[1:]
    same[b] = (keys[a] == keys[b]) & (text.starts[a] == text.starts[b])
    return same


SEEN = Where(lambda text: _seen(text, text.codes))
"""The same token stood earlier in the text."""


def _pair_seen(text: Text) -> Mask:
    pairs = text.before(text.codes) * len(text.vocabulary.surfaces) + text.codes
    return _seen(text, np.where(text.positions == 0, -1, pairs))


PAIR_SEEN = Where(_pair_seen)
"""The token and the one before it stood together earlier in the text: what induction predicts."""

ECHO = Where(lambda text: (text.positions >= 2) & (text.before(text.codes, 2) == text.codes))
"""The same token stands two places earlier."""
