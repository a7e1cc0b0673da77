"""Fresh texts on which a predictor says that the feature fires."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice

import numpy as np

from evaluation.judges.rule.claims import (
    ACTIVE,
    FEWEST_WORDS,
    MOST_WORDS,
    STRONG,
    Claims,
    Stretch,
)
from tools.activations import Tokenization

_STRETCHES_A_TEXT = 20
"""Stretches that are tried for one text before giving up."""


@dataclass(frozen=True, slots=True)
class Written:
    """A text, and its tokens as the subject will read it."""

    text: str
    tokens: tuple[str, ...]


def read(tokenization: Tokenization, texts: Iterable[str]) -> list[Written | None]:
    """Texts as the subject reads them; None for one that it cannot, or not as it is written."""
    return [_read(tokenization, text) for text in texts]


def _read(tokenization: Tokenization, text: str) -> Written | None:
    token_ids = tokenization.tokenize(text)
    tokens = tuple(tokenization.surfaces(token_ids))
    # Pieces of characters do not add up to the text: the model reads more than a predictor can.
    usable = 0 < len(tokens) <= tokenization.window_size and "\ufffd" not in "".join(tokens)
    return Written(text, tokens) if usable else None


class FiringTexts:
    """Writes them: a stretch that fires alone, in a carrier of words that do not.

    A text succeeds by what is measured on it, so that a graded explanation would fail by its weak
    grades, right as they are. These come in only where too few texts show the strong ones.
    """

    def __init__(
        self, claims: Claims, tokenization: Tokenization, random: np.random.Generator
    ) -> None:
        self._claims = claims
        self._tokenization = tokenization
        self._random = random

    def write(self, count: int) -> list[Written]:
        """At most `count` different texts."""
        found: dict[str, Written] = {}
        for share in (STRONG, ACTIVE):
            served = self._fill(found, count, self._stretches(share), share)
            self._fill(found, count, cycle(served), share)
        return list(found.values())

    def _fill(
        self, found: dict[str, Written], count: int, stretches: Iterable[Stretch], share: float
    ) -> list[Stretch]:
        """Add texts until there are `count`; the stretches that served."""
        served: list[Stretch] = []
        left = islice(stretches, count * _STRETCHES_A_TEXT)
        while len(found) < count and (pending := list(islice(left, count - len(found)))):
            for layout in (self._in_place, self._between, self._first, self._first_as_it_was):
                written = self._write_all(layout, pending, share)
                pairs = list(zip(pending, written, strict=True))
                found |= {text.text: text for _, text in pairs if text}
                served += [stretch for stretch, text in pairs if text]
                pending = [stretch for stretch, text in pairs if not text]
        return served

    def _stretches(self, share: float) -> Iterator[Stretch]:
        """Those of the material and those put together, the loudest first."""
        natural = self._claims.stretches(self._random, share)
        built = self._claims.built(self._random, share)
        for stretch in chain(built, natural) if self._claims.unseen else chain(natural, built):
            if len(stretch.text.split()) <= MOST_WORDS:
                yield stretch

    def _write_all(
        self, layout: Callable[[Stretch], str], stretches: Sequence[Stretch], share: float
    ) -> list[Written | None]:
        """One text per stretch; None where the predictor says no longer that it fires so much."""
        drafts = read(self._tokenization, map(layout, stretches))
        largest = self._claims.maxima([draft.tokens if draft else () for draft in drafts])
        fires = self._claims.reaches(largest, share)
        return [draft if good else None for draft, good in zip(drafts, fires, strict=True)]

    def _in_place(self, stretch: Stretch) -> str:
        """The stretch after words that end as those before it in the material do."""
        before, after = self._shares(stretch)
        words = "".join(self._claims.lead_in(stretch, before, self._random)).lstrip()
        return f"{words}{stretch.text} {self._words(after)}" if words else ""

    def _between(self, stretch: Stretch) -> str:
        """The stretch with any words before and after it."""
        before, after = self._shares(stretch)
        lead = stretch.lead or ("" if stretch.text[:1].isspace() else "\n")
        return f"{self._words(before)}{lead}{stretch.text} {self._words(after)}"

    def _first(self, stretch: Stretch) -> str:
        """The stretch at the start of the text, without the space before it."""
        return f"{stretch.text.lstrip()} {self._words(max(1, self._room(stretch)))}"

    def _first_as_it_was(self, stretch: Stretch) -> str:
        return f"{stretch.text} {self._words(max(1, self._room(stretch)))}"

    def _shares(self, stretch: Stretch) -> tuple[int, int]:
        """How many words go before a stretch, and how many after it; one at least."""
        room = max(2, self._room(stretch))
        after = int(self._random.integers(1, 1 + room // 2))
        return room - after, after

    def _room(self, stretch: Stretch) -> int:
        wanted = int(self._random.integers(FEWEST_WORDS, MOST_WORDS + 1))
        return wanted - len(stretch.text.split())

    def _words(self, count: int) -> str:
        return "".join(self._claims.carrier(count, self._random)).strip()
