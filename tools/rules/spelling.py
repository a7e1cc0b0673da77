"""The words that tokens spell: what has been written of a word, up to each token."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.rules.vocabulary import Vocabulary
from tools.rules.windows import Mask, Windows, truths

LONGEST = 64
"""Characters; text without spaces would make words without end."""
_NONE = 0


@dataclass(frozen=True, eq=False)
class Spelling:
    """For each token the word so far: from where the word began up to the token's end.

    A word is a run of letters, digits and their marks; bytes that are no character alone count as
    letters. It goes on over a token that begins with such a character right behind another.
    Whitespace that a token ends with is set aside.
    """

    words: tuple[str, ...]
    """The distinct words so far; the first is empty, for tokens that end with something else."""
    codes: NDArray[np.int64]
    """Shape (n_tokens,): index into `words`."""
    goes_on: Mask
    """Shape (n_tokens,): whether the token goes on with a word that an earlier token began."""

    def where(self, predicate: Callable[[str], bool]) -> Mask:
        """Tokens whose word so far meets `predicate`, which is not asked of the empty one."""
        table = truths(predicate, self.words)
        table[_NONE] = False
        return table[self.codes]

    def ended(self, words: Mask) -> Mask:
        """Those of `words` with which a word ended: the next token, if any, does not go on."""
        return words & ~np.append(self.goes_on[1:], [False])[: len(words)]


@dataclass(frozen=True, eq=False)
class _Pieces:
    """What each surface of a vocabulary brings to a word."""

    tails: tuple[str, ...]
    """The distinct runs of word characters that surfaces end with; the first is empty."""
    codes: NDArray[np.int64]
    """Shape (n_surfaces,): index into `tails`."""
    first: Mask
    """Shape (n_surfaces,): whether a surface begins with a word character."""
    last: Mask
    """Shape (n_surfaces,): whether it ends with one."""
    whole: Mask
    """Shape (n_surfaces,): whether it has nothing else, whitespace at its end aside."""


def spelling(windows: Windows) -> Spelling:
    """What the tokens of `windows` spell."""
    return windows.remember(Spelling, _spelling)


def _spelling(windows: Windows) -> Spelling:
    pieces = windows.vocabulary.table(_pieces, _pieces)
    tails = pieces.codes[windows.codes]
    goes_on = pieces.first[windows.codes] & (windows.positions > 0)
    goes_on[1:] &= pieces.last[windows.codes[:-1]]
    joins = goes_on & pieces.whole[windows.codes]
    words = {word: code for code, word in enumerate(pieces.tails)}
    codes = np.where(joins, _NONE, tails)
    here = np.flatnonzero(joins[1:] & ~joins[:-1]) + 1
    while len(here):
        codes[here] = _longer(words, windows.vocabulary, codes[here - 1], windows.codes[here])
        here = here[codes[here] != _NONE] + 1
        here = here[here < len(joins)]
        here = here[joins[here]]
    return Spelling(tuple(words), codes, goes_on)


def _longer(
    words: dict[str, int], pieces: Vocabulary, begun: NDArray[np.int64], by: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Codes of words that each go on by a piece; new ones join `words`, overlong ones are none."""
    spelt = tuple(words)
    pairs, inverse = np.unique(begun * len(pieces) + by, return_inverse=True)
    codes: list[int] = []
    for pair in pairs.tolist():
        word, piece = divmod(int(pair), len(pieces))
        text = spelt[word] + pieces[piece].rstrip()
        codes.append(words.setdefault(text, len(words)) if len(text) <= LONGEST else _NONE)
    return np.asarray(codes)[inverse]


def is_word_character(char: str) -> bool:
    """Whether a character is part of a word."""
    return char.isalnum() or char == "\ufffd" or unicodedata.category(char)[0] == "M"


def _pieces(vocabulary: Vocabulary) -> _Pieces:
    tails: dict[str, int] = {"": _NONE}
    codes = [tails.setdefault(_tail(surface), len(tails)) for surface in vocabulary]
    return _Pieces(
        tuple(tails),
        np.asarray(codes, dtype=np.int64),
        truths(lambda surface: surface != "" and is_word_character(surface[0]), vocabulary),
        truths(lambda surface: surface != "" and is_word_character(surface[-1]), vocabulary),
        truths(lambda surface: _tail(surface) == surface.rstrip() != "", vocabulary),
    )


def _tail(surface: str) -> str:
    body = surface[1:] if surface[:1] == " " else surface
    if body.isalnum():
        return body
    surface = surface.rstrip()
    begin = len(surface)
    while begin and is_word_character(surface[begin - 1]):
        begin -= 1
    return surface[begin:]
