"""Held-out text as a quarry: where it may be cut so that what is cut out reads as words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.held_out import SplitText
from tools.rules import Mask, Vocabulary, Windows

Indices = NDArray[np.int64]

_UNWRITABLE = re.compile("[\ufffd\ud800-\udfff]")
_LONGEST = 2.0
"""A piece has at most so many times the tokens that its words have on average."""
_AT_ONCE = (32, 2048)
"""So many pieces are drawn at first, and then."""


class Quarry:
    """One split's text with the borders of its words, found once for all explanations.

    A word begins at a token that starts with whitespace, follows one that ends with some, or starts
    with an ideograph; a token of nothing but whitespace begins none.
    """

    def __init__(self, material: SplitText) -> None:
        self.material = material
        self.windows = windows = material.laid_out()
        lengths = np.diff(material.starts)
        self._starts = np.repeat(material.starts[:-1], lengths)
        self._ends = np.repeat(material.starts[1:], lengths)
        inner = windows.positions > 0
        spaced = windows.surfaces(_opens) | (_behind(windows.surfaces(_ends_blank)) & inner)
        self.words = np.flatnonzero(spaced & ~windows.surfaces(str.isspace))
        """The tokens at which words begin, ascending."""
        self._tokens_a_word = len(windows) / max(1, len(self.words))
        continued = windows.surfaces(_starts_letter) & _behind(windows.surfaces(_ends_letter))
        self._borders = np.append(np.flatnonzero(~(continued & inner)), len(windows))
        self.clean_surfaces = [surface for surface in windows.vocabulary if is_clean(surface)]
        """The distinct tokens that are whole characters."""
        self._dirty = counted(~windows.surfaces(is_clean))

    def tokens(self, begin: int, end: int) -> list[str]:
        """The surfaces of some tokens."""
        return self.windows.spelled(self.windows.codes[begin:end])

    def drawn_tokens(self, count: int, random: np.random.Generator) -> list[str]:
        """Surfaces of random tokens that are whole characters, `count` at most."""
        at = random.permutation(len(self.windows))[:count]
        drawn = self.windows.spelled(self.windows.codes[at])
        return [surface for surface in drawn if is_clean(surface)]

    def clean(self, begins: Indices, ends: Indices) -> Mask:
        """Whether stretches are whole characters only: others could not be written."""
        return self._dirty[ends] == self._dirty[begins]

    def cut(self, begins: Indices, ends: Indices) -> Windows:
        """Stretches as windows of their own, as if nothing stood before them."""
        lengths = ends - begins
        offsets = np.cumsum(lengths) - lengths
        positions = np.arange(int(lengths.sum())) - np.repeat(offsets, lengths)
        places = np.repeat(begins, lengths) + positions
        used, codes = np.unique(self.windows.codes[places], return_inverse=True)
        return Windows(Vocabulary(self.windows.spelled(used)), codes, positions)

    def whole_words(self, begins: Indices, ends: Indices) -> tuple[Indices, Indices]:
        """Stretches widened to the beginning of their first word and the end of the last letters.

        They stay within the window that they begin in.
        """
        first = np.searchsorted(self.words, begins, side="right") - 1
        starts = self._starts[begins]
        words = np.append(self.words, -1)
        wide = np.maximum(words[first], starts)
        behind = self._borders[np.searchsorted(self._borders, ends)]
        return wide, np.minimum(behind, self._ends[begins])

    def pieces(self, words: int) -> tuple[Indices, Indices]:
        """Begins and ends of all pieces of so many words that could be written, in their order."""
        return self._pieces(np.arange(max(0, len(self.words) - words)), words)

    def drawn_pieces(
        self, words: int, random: np.random.Generator
    ) -> Iterator[tuple[Indices, Indices]]:
        """The same in random order: a few, then more, then all."""
        n_places = max(0, len(self.words) - words)
        for size in _AT_ONCE:
            if size < n_places:
                yield self._pieces(random.integers(n_places, size=size), words)
        yield self._pieces(random.permutation(n_places), words)

    def piece(self, words: int, random: np.random.Generator) -> list[str]:
        """The tokens of one of them; of fewer words where no window has so many."""
        for fewer in range(words, 0, -1):
            begins, ends = next(self.drawn_pieces(fewer, random))
            if len(begins):
                return self.tokens(int(begins[0]), int(ends[0]))
        return []

    def _pieces(self, at: Indices, words: int) -> tuple[Indices, Indices]:
        begins, ends = self.words[at], self.words[at + words]
        usable = (ends <= self._ends[begins]) & self.clean(begins, ends)
        usable &= ends - begins <= _LONGEST * self._tokens_a_word * words
        return begins[usable], ends[usable]

    def lead_to(self, begin: int, ends: Indices) -> Mask:
        """Whether pieces of other windows end with the token that stands before `begin`."""
        if self.windows.positions[begin] == 0:
            return np.zeros(len(ends), bool)
        codes, elsewhere = self.windows.codes, self._starts[ends - 1] != self._starts[begin]
        return (codes[ends - 1] == codes[begin - 1]) & elsewhere

    def lead(self, begin: int) -> str:
        """The whitespace that ends the token before; empty for a window's first token."""
        if self.windows.positions[begin] == 0:
            return ""
        (earlier,) = self.tokens(begin - 1, begin)
        return earlier[len(earlier.rstrip()) :]


def counted(mask: Mask) -> Indices:
    """How many of the tokens before each one are marked; shape (n_tokens + 1,)."""
    return np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])


def _behind(mask: Mask) -> Mask:
    """Whether the token before each one is marked."""
    return np.concatenate([[False], mask])[: len(mask)]


def words_in(tokens: Sequence[str]) -> int:
    """How many words begin in a text."""
    words, opened = 0, True
    for token in tokens:
        words += not token.isspace() and (opened or _opens(token))
        opened = _ends_blank(token)
    return words


def is_clean(surface: str) -> bool:
    """Whether a token is whole characters, none of them half of a surrogate pair."""
    return surface != "" and not _UNWRITABLE.search(surface)


def _opens(surface: str) -> bool:
    first = surface[:1]
    return first.isspace() or (first != "" and unicodedata.east_asian_width(first) in "WF")


def _ends_blank(surface: str) -> bool:
    return surface[-1:].isspace()


def _starts_letter(surface: str) -> bool:
    return surface[:1].isalnum()


def _ends_letter(surface: str) -> bool:
    return surface[-1:].isalnum()
