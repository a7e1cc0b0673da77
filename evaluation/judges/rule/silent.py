"""Fresh texts on which a predictor says that the feature is silent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from evaluation.judges.rule.claims import FEWEST_WORDS, MOST_WORDS, Claims
from evaluation.judges.rule.quarry import words_in
from evaluation.judges.rule.writing import Written, read
from tools.activations import Tokenization

_DRAWN = 400
"""Tokens of the material that others may be replaced with."""
_ALIKE, _OTHERS = 6, 4
"""Tokens that are tried in one place: of the same shape, then of any."""
_MOST_LOUD = 3
"""Where a text fires on more tokens and has no single cause, no pair is made of it."""
_REACH = 8
"""How far before the first token that fires its cause is looked for."""
_READ = 4
"""Edited texts that are read again before a pair is given up."""
_MOST_APART = 2
"""Tokens by which the lengths of a pair may differ."""
_ROUNDS = 3
"""How often as many pieces as are wanted are tried; at first ones that are silent in context."""


class SilentTexts:
    """Writes them: plain pieces of held-out text, and minimal pairs of firing texts."""

    def __init__(
        self, claims: Claims, tokenization: Tokenization, random: np.random.Generator
    ) -> None:
        self._claims = claims
        self._tokenization = tokenization
        self._random = random
        self._pool = claims.quarry.drawn_tokens(_DRAWN, random)
        self._alike: dict[tuple[bool, ...], list[str]] = {}
        for surface in self._pool:
            self._alike.setdefault(_shape(surface), []).append(surface)

    def write(self, count: int, firing: Sequence[Written]) -> list[Written]:
        """At most `count` different texts, half of each kind if they can be had, plain ones first.

        Args:
            count: how many.
            firing: texts that minimal pairs change one thing of, and whose lengths are kept.
        """
        more = self._pairs(firing)
        pairs = list(islice(more, count // 2))
        lengths = [words_in(text.tokens) for text in firing]
        plain = self._plain(count - len(pairs), lengths)
        pairs += islice(more, count - len(plain) - len(pairs))
        return list({text.text: text for text in (*plain, *pairs)}.values())

    def _plain(self, count: int, lengths: Sequence[int]) -> list[Written]:
        """Pieces of held-out text as long as the firing texts."""
        found: dict[str, Written] = {}
        longest = self._claims.longest_silence
        choices = np.array(lengths or range(FEWEST_WORDS, MOST_WORDS + 1))
        for attempt in range(_ROUNDS if longest else 0):
            wanted = self._random.choice(choices, count - len(found))
            words = np.clip(wanted, 1, longest).tolist()
            pieces = [
                self._claims.silent_piece(number, self._random, alone=attempt > 0)
                for number in words
            ]
            silent = self._silent(["".join(piece).strip() for piece in pieces])
            found |= {text.text: text for text in silent}
        return list(found.values())

    def _pairs(self, firing: Sequence[Written]) -> Iterator[Written]:
        """Firing texts with as little changed as silences them: one token if one will do."""
        predicted = self._claims.predictions([text.tokens for text in firing])
        for text, said in zip(firing, predicted, strict=True):
            loud = np.flatnonzero(~self._claims.silent(said)).tolist()
            for edits in (
                self._without(text.tokens, loud, 1),
                self._without_cause(text.tokens, loud),
                self._without(text.tokens, loud, _MOST_LOUD),
            ):
                pair = self._first_silent(text, edits)
                if pair is not None:
                    yield pair
                    break

    def _first_silent(self, text: Written, edits: Iterable[tuple[str, ...]]) -> Written | None:
        """The first edit of a text that is silent and about as long, when it is read again."""
        edited = list(edits)
        silent = self._claims.silent(self._claims.maxima(edited))
        drafts = ["".join(tokens) for tokens, quiet in zip(edited, silent, strict=True) if quiet]
        length = len(text.tokens)
        pairs = self._silent(drafts[:_READ])
        return next((p for p in pairs if abs(len(p.tokens) - length) <= _MOST_APART), None)

    def _without(
        self, tokens: Sequence[str], loud: list[int], most: int
    ) -> Iterator[tuple[str, ...]]:
        """All tokens that are said to fire replaced, where they are `most` or fewer."""
        if len(loud) > most:
            return
        for choices in zip(*(self._replacements(tokens[at]) for at in loud), strict=True):
            edited = list(tokens)
            for at, surface in zip(loud, choices, strict=True):
                edited[at] = surface
            yield tuple(edited)

    def _without_cause(self, tokens: Sequence[str], loud: list[int]) -> Iterator[tuple[str, ...]]:
        """One token before the first that is said to fire replaced, or that one, nearest first."""
        for at in range(loud[0], max(-1, loud[0] - _REACH), -1):
            for surface in self._replacements(tokens[at]):
                yield (*tokens[:at], surface, *tokens[at + 1 :])

    def _replacements(self, surface: str) -> list[str]:
        """Tokens to stand in its place, as frequent as they are in held-out text."""
        alike = self._alike.get(_shape(surface), self._pool)
        return [*self._draw(alike, _ALIKE), *self._draw(self._pool, _OTHERS)]

    def _draw(self, surfaces: list[str], count: int) -> list[str]:
        at = self._random.integers(len(surfaces), size=count if surfaces else 0)
        return [surfaces[index] for index in at.tolist()]

    def _silent(self, texts: Iterable[str]) -> list[Written]:
        """Those of the texts that can be read and are said to be silent."""
        readable = [text for text in read(self._tokenization, texts) if text]
        silent = self._claims.silent(self._claims.maxima([text.tokens for text in readable]))
        return [text for text, quiet in zip(readable, silent, strict=True) if quiet]


def _shape(surface: str) -> tuple[bool, ...]:
    """What makes tokens look alike: a space before, letters, whitespace."""
    return surface[:1] == " ", surface.strip().isalpha(), surface.isspace()
