"""Finite automata that read text token by token: what has begun and not yet ended."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from tools.rules.vocabulary import Vocabulary
from tools.rules.windows import Windows

WORD = "w"
"""What stands for a run of word characters when an automaton steps."""
PREFIX = "p"
"""What stands for a run that Python and others take for the prefix of a string, as in `rb""`."""
START = 0
"""The state in which a text begins."""

_SIDE_BY_SIDE = 128
"""Windows from which on all of them are read at once, token by token."""

_MOST_KNOWN = 65_536
"""Outlines that are remembered, of each automaton apart; few surfaces differ in theirs."""

_RUNS = re.compile(r"[^\W_]+")
_PREFIXES = frozenset({"b", "f", "r", "u", "br", "rb", "fr", "rf"})


@dataclass(frozen=True, eq=False)
class Automaton:
    """Steps from state to state over the characters of a text; runs of letters are one step."""

    states: int
    """How many; they are numbered from 0, in which every text begins."""
    step: Callable[[int, str], int]
    """The state after a character, `WORD` or `PREFIX`."""

    def before(self, windows: Windows) -> NDArray[np.uint8]:
        """The state before each token; shape (n_tokens,)."""
        after = windows.vocabulary.table(self, self._steps)
        begins = np.flatnonzero(windows.positions == 0)
        if len(begins) < _SIDE_BY_SIDE:
            return self._one_by_one(windows.codes, begins, after)
        found = np.zeros(len(windows), np.uint8)
        lengths = np.diff(begins, append=len(windows))
        longest = np.argsort(-lengths, kind="stable")
        begins, lengths = begins[longest], lengths[longest]
        states = np.zeros(len(begins), np.uint8)
        for place in range(lengths[0] - 1):
            here = begins[: np.searchsorted(-lengths, -place - 1)] + place
            states = after[windows.codes[here], states[: len(here)]]
            found[here + 1] = states
        return found

    def _one_by_one(
        self, codes: NDArray[np.int64], begins: NDArray[np.intp], after: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """The same where there are few windows: arrays would be longer in the making."""
        found = bytearray()
        steps = [row.tobytes() for row in after]
        for window in np.split(codes, begins)[1:]:
            some: list[int] = window[:-1].tolist()
            found += bytes(accumulate(some, lambda state, code: steps[code][state], initial=START))
        return np.frombuffer(found, dtype=np.uint8)

    def through(self, text: str, state: int) -> int:
        """The state after `text`."""
        for char in _outline(text):
            state = self.step(state, char)
        return state

    def _steps(self, vocabulary: Vocabulary) -> NDArray[np.uint8]:
        """The state after each surface by the state before it; shape (n_surfaces, n_states)."""
        rows = b"".join(_after(self, _outline(surface)) for surface in vocabulary)
        return np.frombuffer(rows, np.uint8).reshape(len(vocabulary), self.states)


@lru_cache(maxsize=_MOST_KNOWN)
def _after(automaton: Automaton, outline: str) -> bytes:
    """The state behind an outline by the one before it; every text of experiments asks anew."""
    states = list(range(automaton.states))
    for char in outline:
        states = [automaton.step(state, char) for state in states]
    return bytes(states)


def _outline(text: str) -> str:
    """The text with every run of word characters as one letter: most surfaces look alike then."""
    # Most surfaces are one word: vocabularies are large.
    if len(text) > 3 and text.isalnum():
        return WORD
    if len(text) > 3 and text[0] == " " and text[1:].isalnum():
        return f" {WORD}"
    return _RUNS.sub(lambda run: _kind(run[0]), text)


def _kind(run: str) -> str:
    return PREFIX if len(run) <= 2 and run.lower() in _PREFIXES else WORD
