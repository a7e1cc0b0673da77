"""The division of some tokens that pays most: by what they are, or by what stands before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphs.policies.symbolic.evidence import CHANCE, PRICE, Floats
from graphs.policies.symbolic.literals import OFFSETS, REACHES
from graphs.policies.symbolic.tallies import (
    FAR,
    FIRST,
    SECOND,
    Sums,
    Tallies,
    Tally,
    gain_of,
    gains,
    weight_of,
)
from tools.rules import Before, Condition, Mask, TokenIn, WordIn

FEWEST = 3.0
"""Least weight on each side of a division."""
LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 40)
"""Sizes of token sets that are tried."""
CONTEXT_LENGTHS = (1, 2, 3, 4, 6)
"""Sizes of sets of earlier tokens that are tried."""
_TEDIUM = 2.5
"""What a token of a list counts beside a condition, as each takes a word..."""
_READ, _SUMMED_UP = 8, 0.5
"""...and from which length on it counts less, as a longer list is summed up in words."""
_LOUDER_WORDS, _QUIETER_WORDS = 8, 4
"""Words tried anywhere before, by whether the feature is louder or quieter after them."""
_TRIED = 12
"""Divisions that are looked at more closely, the most worthwhile first."""
_LOOKED_AT = 20_000
"""Tokens whose surroundings are searched for such words."""


class Division(NamedTuple):
    """A way to divide some tokens by a condition."""

    gain: float
    """Share of all squared activation that it explains on documents it was not learned from,
    beyond what might be chance."""
    said: float
    """Conditions and tokens that are to be said for it."""
    make: Callable[[], Condition]
    """Gives the condition."""

    def worth(self, explained: float) -> float:
        """What it explains, less what it costs to say beside what is explained already."""
        return self.gain - PRICE * self.said * (explained + max(self.gain, 0.0))


class Vocabulary(NamedTuple):
    """What a division may speak of."""

    tokens: bool = True
    """Sets of tokens."""
    kinds: bool = True
    """Classes and affixes."""
    context: bool = True
    """What stands before, and where."""


EVERYTHING = Vocabulary()


class Divisions:
    """Finds divisions of tokens within one body of evidence."""

    def __init__(self, tallies: Tallies, spoken: Vocabulary = EVERYTHING) -> None:
        """Look for divisions.

        Args:
            tallies: of the evidence.
            spoken: what they may speak of.
        """
        self.tallies = tallies
        self._spoken = spoken
        self._mass = tallies.evidence.mass or 1.0
        self._chance = CHANCE / max(self._mass, 1.0)

    def best(
        self, here: NDArray[np.intp], tally: Tally, listed: int, explained: float
    ) -> Division | None:
        """The division that pays most; None if none does.

        Args:
            here: indices of the tokens.
            tally: sums over them.
            listed: length of the list that they were chosen from, 0 for none: to name some of
                them apart makes it no longer, to name another condition says it twice.
            explained: share of all squared activation that is explained already.
        """
        if weight_of(tally.total) < 2 * FEWEST:
            return None
        options = sorted(
            self._options(here, tally, listed), key=lambda o: o.worth(explained), reverse=True
        )
        for option in options[:_TRIED]:
            if option.worth(explained) <= 0:
                break
            least = self.tallies.least_gain(option.make(), here) / self._mass
            if option._replace(gain=min(option.gain, least)).worth(explained) > 0:
                return option
        return None

    def _options(self, here: NDArray[np.intp], tally: Tally, listed: int) -> Iterator[Division]:
        if self._spoken.tokens:
            yield from self._lists(tally, listed)
        for option in self._others(here, tally):
            yield option._replace(said=option.said + listed)

    def _lists(self, tally: Tally, listed: int) -> Iterator[Division]:
        """Lists of tokens, in this or any spelling, and of words however they are split."""
        pool, total = self.tallies, tally.total
        vocabulary = pool.evidence.windows.vocabulary

        def once(n: int) -> float:
            return 1 if listed else _tedium(n)

        def anew(n: int) -> float:
            return _tedium(n) + 1 + listed

        yield from self._sets(tally.own, total, LENGTHS, 0.0, once, vocabulary, _tokens)
        folded, words = pool.folded, pool.folded_words
        yield from self._sets(
            folded.sums(tally.own),
            total,
            LENGTHS,
            self._chance,
            anew,
            folded.texts,
            lambda tokens: TokenIn(tuple(tokens), folded=True),
        )
        spelt = words.sums(tally.words)
        spelt[words.codes[0]] = 0.0
        yield from self._sets(
            spelt,
            total,
            LENGTHS,
            self._chance,
            anew,
            words.texts,
            lambda texts: WordIn(tuple(texts), folded=True),
        )

    def _others(self, here: NDArray[np.intp], tally: Tally) -> Iterator[Division]:
        # Whatever a tree may speak of, it begins with all tokens.
        once = self.tallies.once
        if self._spoken.kinds:
            yield from once("kinds", here, lambda: list(self._kinds(tally)))
        if self._spoken.context:
            yield from once("context", here, lambda: list(self._context(here, tally)))

    def _kinds(self, tally: Tally) -> Iterator[Division]:
        pool = self.tallies
        return self._single(pool.kinds, pool.kind_table @ tally.own, tally.total)

    def _context(self, here: NDArray[np.intp], tally: Tally) -> Iterator[Division]:
        yield from self._single(self.tallies.whereabouts, tally.placed, tally.total)
        for offset, sums in zip(OFFSETS, tally.before, strict=True):
            yield from self._before(offset, sums, tally.total)
        yield from self._words(here, tally.total)

    def _before(self, offset: int, sums: Sums, total: Sums) -> Iterator[Division]:
        classes = [Before(condition, offset, offset) for condition in self.tallies.classes]
        yield from self._single(classes, self.tallies.class_table @ sums, total)
        yield from self._sets(
            sums,
            total,
            CONTEXT_LENGTHS,
            self._chance,
            lambda n: 1 + n,
            self.tallies.evidence.windows.vocabulary,
            lambda tokens: Before(_tokens(tokens), offset, offset),
        )

    def _single(
        self, conditions: Sequence[Condition], inner: Sums, total: Sums
    ) -> Iterator[Division]:
        """The best of some conditions."""
        said = np.array([condition.complexity for condition in conditions])
        gain = np.where(_balanced(inner, total), gains(inner, total), -np.inf) / self._mass
        gain -= self._chance * said
        best = int(np.argmax(gain))
        yield Division(float(gain[best]), int(said[best]), lambda: conditions[best])

    def _sets(
        self,
        sums: Sums,
        total: Sums,
        lengths: Sequence[int],
        chance: float,
        said: Callable[[int], float],
        texts: Sequence[str],
        make: Callable[[Sequence[str]], Condition],
    ) -> Iterator[Division]:
        """Sets of the loudest surfaces, and of the quietest, that take away most error."""
        for sign in (1.0, -1.0):
            chosen = _telling(sums[:, 0::2].sum(1), sums[:, 1::2].sum(1), total, sign, lengths[-1])
            sizes = [size for size in lengths if size <= len(chosen)]
            if not sizes:
                continue
            gained = self._gained(sums, total, sign, sizes)
            inner = np.cumsum(sums[chosen], axis=0)[np.array(sizes) - 1]
            gain = gained / self._mass - chance * np.array([said(size) for size in sizes])
            gain[~_balanced(inner, total)] = -np.inf
            for size, gained_by in zip(sizes, gain.tolist(), strict=True):
                codes: list[int] = chosen[:size].tolist()
                named = [texts[code] for code in codes]
                yield Division(gained_by, said(size), partial(make, named))

    def _gained(self, sums: Sums, total: Sums, sign: float, sizes: Sequence[int]) -> Floats:
        """Gains of sets of each size, chosen on one half of the sources, on the other half."""
        gained = np.zeros(len(sizes))
        for learned, tried in ((FIRST, SECOND), (SECOND, FIRST)):
            chosen = _telling(
                sums[:, learned],
                sums[:, learned + 1],
                total[learned : learned + 2],
                sign,
                sizes[-1],
            )
            if len(chosen):
                ends = np.minimum(sizes, len(chosen)) - 1
                inner = np.cumsum(sums[chosen], axis=0)[ends]
                gained += gain_of(inner, total, learned, tried)
        return gained

    def _words(self, here: NDArray[np.intp], total: Sums) -> Iterator[Division]:
        """Words anywhere before."""
        vocabulary, columns = self.tallies.evidence.windows.vocabulary, self.tallies.columns[here]
        for code in self._telling_words(here, total):
            word = TokenIn((vocabulary[code],))
            conditions = [Before(word, 1, reach) for reach in REACHES]
            since = self.tallies.since(code)[here]
            near = np.flatnonzero(since < FAR)
            sums = [columns[near[since[near] <= reach]].sum(axis=0) for reach in REACHES]
            yield from self._single(conditions, np.stack(sums), total)

    def _telling_words(self, here: NDArray[np.intp], total: Sums) -> list[int]:
        windows = self.tallies.evidence.windows
        sample = here[:: len(here) // _LOOKED_AT + 1]
        distances = np.arange(1, max(REACHES) // 2 + 1)
        codes = windows.codes[sample[:, None] - distances]
        codes[windows.positions[sample][:, None] < distances] = -1
        codes.sort(axis=1)
        first = np.diff(codes, axis=1, prepend=-1) != 0
        rows = np.nonzero(first)[0]
        seen, size = codes[first], len(windows.vocabulary)
        both = self.tallies.columns[sample]
        weight, loud = both[:, 0::2].sum(1), both[:, 1::2].sum(1)
        present = np.bincount(seen, weight[rows], size).astype(np.float64)
        summed = np.bincount(seen, loud[rows], size).astype(np.float64)
        louder = _telling(present, summed, total, 1.0, _LOUDER_WORDS)
        return [*louder, *_telling(present, summed, total, -1.0, _QUIETER_WORDS)]


def _tedium(n: int) -> float:
    """What a list of so many tokens counts beside a condition."""
    return _TEDIUM * min(n, _READ) + _SUMMED_UP * max(0, n - _READ)


def _tokens(surfaces: Sequence[str]) -> Condition:
    return TokenIn(tuple(surfaces))


def _telling(weight: Floats, loud: Floats, total: Sums, sign: float, most: int) -> NDArray[np.intp]:
    """The surfaces that a set should be made of first: common ones far from the mean of all.

    Args:
        weight: shape (n_surfaces,).
        loud: weighted activation, shape (n_surfaces,).
        total: sums over all tokens.
        sign: 1 for the louder ones, -1 for the quieter ones.
        most: how many at most.
    """
    mean = total[..., 1::2].sum() / max(float(total[..., 0::2].sum()), 1e-9)
    # One pseudo-occurrence at the overall mean keeps what was seen once from looking perfect.
    excess = (loud + mean) / (weight + 1) - mean
    telling = sign * weight * excess * np.abs(excess)
    found = np.flatnonzero(telling > 0)
    if len(found) > most:
        # Those that tie with the last one are kept: the first of equals is taken.
        least = np.partition(telling[found], len(found) - most)[len(found) - most]
        found = found[telling[found] >= least]
    return found[np.argsort(-telling[found], kind="stable")[:most]]


def _balanced(inner: Sums, total: Sums) -> Mask:
    """Whether both sides have weight enough."""
    return np.minimum(weight_of(inner), weight_of(total - inner)) >= FEWEST
