"""What a predictor says of held-out text: where it is loud, and the least text that makes it so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from evaluation.candidate import Predictor
from evaluation.judges.rule.quarry import Indices, Quarry, counted, is_clean
from tools.activations import Tokenization
from tools.rules import Mask, Rule, Windows

STRONG = 0.8
"""A predictor says that a text fires strongly where it predicts so much of its own largest
prediction..."""
ACTIVE = 0.5
"""...that it fires at all where it predicts so much..."""
INACTIVE = 0.1
"""...and that it is silent where it predicts no more than this of any token."""

LENGTHS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32])
"""Stretches of so many tokens are tried, the shortest first."""
FEWEST_WORDS, MOST_WORDS = 6, 13
"""A text is planned with so many words; what stays joined when written may change that a little."""
_PLACES_AT_ONCE = 32
_MOST_PLACES = 1024
_MOST_PIECES = 128
"""Silent pieces that are read on their own in search of one that stays silent."""
_MOST_LISTED = 24
"""Strings of a rule that are tried one after another, in pairs."""
_CARRIER_WORDS = 4


@dataclass(frozen=True, slots=True)
class Stretch:
    """A text for whose last word the predictor says that the feature fires."""

    text: str
    lead: str = ""
    """Whitespace that stands before it in the material."""
    place: int | None = None
    """The token of the material that it begins with; None if it was put together."""


class Claims:
    """A predictor's predictions for all of a split, and what follows from them."""

    def __init__(self, predictor: Predictor, quarry: Quarry, tokenization: Tokenization) -> None:
        self.quarry = quarry
        self._predictor = predictor
        self._tokenization = tokenization
        self._predicted = predictor.predict_windows(quarry.material.laid_out())
        loudest = float(self._predicted.max(initial=0.0))
        # A rule may be strongest on something that the material never shows.
        claimed = predictor.strength if isinstance(predictor, Rule) else loudest
        self.unseen = bool(np.float32(claimed) > loudest)
        """Whether the largest prediction was met on tokens that were put together for it."""
        if self.unseen:
            loudest = max([loudest, *(said for said, _ in self._put_together)])
        self.peak = loudest
        """The largest prediction found; 0 where nothing is ever predicted."""
        self._loud = counted(self._predicted > INACTIVE * loudest)

    def maxima(self, texts: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """The largest prediction for each text; shape (n_texts,)."""
        return np.array([said.max(initial=0.0) for said in self.predictions(texts)], np.float32)

    def predictions(self, texts: Sequence[Sequence[str]]) -> list[NDArray[np.float32]]:
        """Predictions for the tokens of each text."""
        if not texts:
            return []
        predicted = self._predictor.predict_windows(Windows.of(texts))
        return np.split(predicted, np.cumsum([len(text) for text in texts])[:-1])

    def reaches(self, largest: NDArray[np.float32], share: float) -> Mask:
        """Which texts, by their largest predictions, are said to fire at such a share of all."""
        return (largest >= share * self.peak) & (largest > 0)

    def silent(self, largest: NDArray[np.float32]) -> Mask:
        """Whether texts with such largest predictions are said to be silent."""
        return largest <= INACTIVE * self.peak

    @cached_property
    def longest_silence(self) -> int:
        """Words of the longest piece of text on which nothing is predicted, MOST_WORDS at most."""
        for words in range(MOST_WORDS, 0, -1):
            begins, ends = self.quarry.pieces(words)
            if (self._loud[ends] == self._loud[begins]).any():
                return words
        return 0

    def silent_piece(
        self, words: int, random: np.random.Generator, *, alone: bool = False
    ) -> list[str]:
        """Tokens of a piece of text on which nothing is predicted; empty if none was found.

        Args:
            words: how many words, `longest_silence` at most.
            random: draws it.
            alone: whether nothing may be predicted on it even as a text of its own.
        """
        for begins, ends in self.quarry.drawn_pieces(words, random):
            quiet = np.flatnonzero(self._loud[ends] == self._loud[begins])[:_MOST_PIECES]
            if alone:
                quiet = quiet[self._silent_alone(begins[quiet], ends[quiet])]
            if len(quiet):
                return self.quarry.tokens(int(begins[quiet[0]]), int(ends[quiet[0]]))
        return []

    def carrier(self, words: int, random: np.random.Generator) -> list[str]:
        """Tokens of a piece of text to put something else in.

        Nothing is predicted on it unless the predictor leaves less than half of `words` words in a
        row silent wherever they are.
        """
        silent = min(words, self.longest_silence)
        if silent > words // 2:
            return self.silent_piece(silent, random)
        return self.quarry.piece(words, random)

    def lead_in(self, stretch: Stretch, words: int, random: np.random.Generator) -> list[str]:
        """Tokens of a silent piece of another window, the last as before the stretch itself.

        Empty if there is none, or nothing stands before the stretch.
        """
        silent = min(words, self.longest_silence)
        if stretch.place is None or silent <= words // 2:
            return []
        for begins, ends in self.quarry.drawn_pieces(silent, random):
            fits = self.quarry.lead_to(stretch.place, ends)
            fits = np.flatnonzero(fits & (self._loud[ends] == self._loud[begins]))
            if len(fits):
                return self.quarry.tokens(int(begins[fits[0]]), int(ends[fits[0]]))
        return []

    def stretches(self, random: np.random.Generator, share: float) -> Iterator[Stretch]:
        """The shortest stretches that fire alone; tokens that end one take turns, loudest first.

        Args:
            random: draws among equals.
            share: of the largest prediction, which each of them reaches.
        """
        places = self._places(random, share)[:_MOST_PLACES]
        for start in range(0, len(places), _PLACES_AT_ONCE):
            begins, ends = self._shortest(places[start : start + _PLACES_AT_ONCE], share)
            begins, ends = self.quarry.whole_words(begins, ends)
            clean = self.quarry.clean(begins, ends)
            for begin, end in zip(begins[clean].tolist(), ends[clean].tolist(), strict=True):
                text = "".join(self.quarry.tokens(begin, end))
                yield Stretch(text, self.quarry.lead(begin), begin)

    def built(self, random: np.random.Generator, share: float) -> Iterator[Stretch]:
        """Stretches put together from single tokens, one for each that ends one, loudest first.

        The arguments are those of `stretches`.
        """
        firing: dict[str, tuple[float, str]] = {}
        for said, tokens in self._put_together:
            if said > 0 and said >= share * self.peak:
                firing.setdefault(tokens[-1], (-said, "".join(tokens)))
        found = list(firing.values())
        chances: list[int] = random.permutation(len(found)).tolist()
        for _, _, text in sorted((s, c, t) for (s, t), c in zip(found, chances, strict=True)):
            yield Stretch(text)

    def _silent_alone(self, begins: Indices, ends: Indices) -> Mask:
        predicted = self._predictor.predict_windows(self.quarry.cut(begins, ends))
        parts = np.split(predicted, np.cumsum(ends - begins)[:-1])
        return np.array([self.silent(part.max(initial=0.0)) for part in parts[: len(begins)]], bool)

    def _places(self, random: np.random.Generator, share: float) -> Indices:
        """Where the predictor says that the feature fires so much, distinct tokens taking turns."""
        places = random.permutation(np.flatnonzero(self.reaches(self._predicted, share)))
        said, codes = self._predicted[places], self.quarry.windows.codes[places]
        loudest = np.zeros(len(self.quarry.windows.vocabulary), np.float32)
        np.maximum.at(loudest, codes, said)
        chances = random.permutation(len(loudest))
        by_token = np.lexsort((-said, codes))
        _, first, n_each = np.unique(codes[by_token], return_index=True, return_counts=True)
        turn = np.empty(len(places), np.int64)
        turn[by_token] = np.arange(len(places)) - np.repeat(first, n_each)
        return places[np.lexsort((chances[codes], -loudest[codes], turn))]

    def _shortest(self, places: Indices, share: float) -> tuple[Indices, Indices]:
        """The shortest stretch up to each place that fires so much alone, where there is one."""
        reach = np.minimum(LENGTHS, self.quarry.windows.positions[places][:, None] + 1)
        ends = np.broadcast_to(places[:, None] + 1, reach.shape).ravel()
        begins = ends - reach.ravel()
        predicted = self._predictor.predict_windows(self.quarry.cut(begins, ends))
        held = self.reaches(predicted[np.cumsum(reach) - 1], share).reshape(reach.shape)
        some = held.any(axis=1)
        shortest = held.argmax(axis=1)[some, None]
        ends = places[some] + 1
        return ends - np.take_along_axis(reach[some], shortest, axis=1)[:, 0], ends

    @cached_property
    def _put_together(self) -> list[tuple[float, tuple[str, ...]]]:
        """Tokens alone, listed ones in pairs, tokens behind others: what is said of the last."""
        listed = self._listed()
        singles = list(dict.fromkeys([*listed, *self.quarry.clean_surfaces]))
        carrier = self.quarry.piece(_CARRIER_WORDS, np.random.default_rng(0))
        texts = [(surface,) for surface in singles]
        texts = [*texts, *product(listed, repeat=2), *((*carrier, last) for last in singles)]
        said = self.predictions(texts)
        return [(float(s[-1]), text) for s, text in zip(said, texts, strict=True)]

    def _listed(self) -> list[str]:
        """The tokens that the strings of a rule end with when read, with and without a space."""
        texts = [text for text in dict.fromkeys(_strings(self._predictor)) if is_clean(text)]
        found: dict[str, None] = {}
        for text in texts[:_MOST_LISTED]:
            for variant in (text, f" {text}"):
                token_ids = self._tokenization.tokenize(variant)
                found |= dict.fromkeys(self._tokenization.surfaces(token_ids[-1:]))
        return [surface for surface in found if is_clean(surface)]


def _strings(predictor: Predictor) -> Iterator[str]:
    """All strings that a rule's JSON holds, the names of its conditions among them."""
    left: list[object] = [predictor.to_json()] if isinstance(predictor, Rule) else []
    while left:
        item = left.pop(0)
        if isinstance(item, str) and item:
            yield item
        elif isinstance(item, Mapping):
            left += cast(Mapping[str, Any], item).values()
        elif isinstance(item, list):
            left += cast(list[object], item)
