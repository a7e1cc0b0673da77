"""How texts are put together so that each gets the same bits as in any other company.

A float sum depends on the order of its terms, which a kernel chooses by the shape of its input. So
what a text is padded to, and how many are run with it, could show in the last digits, and that is a
matter of timing. Which texts may be run together is found out by trying, on made-up texts: those of
nearly one length, as a subject may pad them all alike; those of one length; or none.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tools.activations import RUNG_TOKENS, Subject
from tools.errors import ActivationNotFinite

LEAST_TOKENS = 4
"""A pass over fewer is filled up: the smallest inputs get kernels of their own."""

LEAST_COLUMNS = 2
"""A single column would be a matrix-vector product, which adds up in another order."""

BATCH_TOKENS = 1_024
"""Most tokens of a pass: a CPU gains nothing beyond that, and others wait meanwhile."""

FIXED_TEXTS = 32
FIXED_COLUMNS = 32
"""Texts and features of every pass where only passes of equal shape give equal bits."""

TRIAL_STEP = 16
"""Of each range of so many lengths, the first, a middle and the last one or rung are tried."""

_TRIAL_FEATURES = 256
_MOST_BROKEN = 8
"""Features that may give NaN before a trial is given up."""

T = TypeVar("T")
_Window = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """How texts of one length, or nearly so, are run."""

    shortest: int
    """Tokens of the shortest text, special tokens left out."""
    longest: int
    """Tokens of the longest one."""
    fixed: int | None = None
    """Texts in every pass; None where any number gives the same bits."""

    @property
    def most_texts(self) -> int:
        """Distinct texts that a pass holds."""
        return max(1, BATCH_TOKENS // self.longest) if self.fixed is None else self.fixed

    def takes(self, n_tokens: int) -> bool:
        """Whether a text of so many tokens may be run so."""
        return self.shortest <= n_tokens <= self.longest

    def rows(self, texts: Sequence[T]) -> list[T]:
        """The texts, some repeated to fill the pass."""
        least = -(-LEAST_TOKENS // self.shortest) if self.fixed is None else self.fixed
        return _filled(texts, least)

    def columns(self, features: Sequence[int]) -> list[int]:
        """The features, some repeated to fill the pass."""
        return _filled(features, LEAST_COLUMNS if self.fixed is None else FIXED_COLUMNS)


class _Manner(NamedTuple):
    """How texts of similar lengths are put together."""

    step: int
    """Lengths that share a pass."""
    fixed: int | None
    """See `Shape`."""


_MANNERS = (_Manner(RUNG_TOKENS, None), _Manner(1, None), _Manner(1, FIXED_TEXTS))
"""What is tried, best first."""
_ALONE = _Manner(1, 1)


class Shapes:
    """The shape for every length of text on one subject; found out when first asked for."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._n_special = subject.info.context_size - subject.window_size
        self._manners: dict[int, _Manner] = {}
        self._measurable: list[int] | None = None
        self._lock = threading.Lock()

    def rung(self, n_tokens: int) -> int:
        """The same for texts that may be run together, if any of other lengths may."""
        return -(-(n_tokens + self._n_special) // RUNG_TOKENS)

    def of(self, n_tokens: int) -> Shape:
        """How a text of `n_tokens` is run: in any company, in one of fixed size, or alone."""
        part = (self.rung(n_tokens) - 1) * RUNG_TOKENS // TRIAL_STEP
        if part not in self._manners:
            with self._lock:
                if part not in self._manners:
                    self._manners[part] = self._try(part)
        return self._shape(n_tokens, self._manners[part])

    def _shape(self, n_tokens: int, manner: _Manner) -> Shape:
        if manner.step == 1:
            return Shape(n_tokens, n_tokens, manner.fixed)
        longest = self.rung(n_tokens) * manner.step - self._n_special
        shortest = max(1, longest - manner.step + 1)
        return Shape(shortest, min(longest, self._subject.window_size), manner.fixed)

    def _try(self, part: int) -> _Manner:
        first = max(1, part * TRIAL_STEP + 1 - self._n_special)
        last = min(self._subject.window_size, (part + 1) * TRIAL_STEP - self._n_special)
        lengths = (first, (first + last) // 2, last)
        for manner in _MANNERS:
            shapes = dict.fromkeys(self._shape(n_tokens, manner) for n_tokens in lengths)
            if all(map(self._agree, shapes)):
                return manner
        return _ALONE

    def _agree(self, shape: Shape) -> bool:
        """Whether made-up texts get the same bits wherever in whichever pass they are."""
        if self._measurable is None:
            self._measurable = self._find_measurable()
        features = self._measurable
        seen: dict[_Window, NDArray[np.float32]] = {}
        try:
            for windows in _passes(shape, self._subject.info.vocabulary_size):
                found = self._subject.encode_windows(windows, features)
                for window, each in zip(windows, found, strict=True):
                    if not np.array_equal(seen.setdefault(window, each), each):
                        return False
            return bool(features) and self._agree_narrow(shape, features, seen)
        except ActivationNotFinite:
            return False

    def _agree_narrow(
        self, shape: Shape, features: Sequence[int], seen: dict[_Window, NDArray[np.float32]]
    ) -> bool:
        """Whether the strongest column does not depend on how many are encoded with it."""
        column = int(np.sum([found.sum(axis=0) for found in seen.values()], axis=0).argmax())
        windows = shape.rows(list(seen))
        narrow = self._subject.encode_windows(windows, shape.columns([features[column]]))
        return shape.fixed is not None or all(
            np.array_equal(seen[window][:, column], each[:, 0])
            for window, each in zip(windows, narrow, strict=True)
        )

    def _find_measurable(self) -> list[int]:
        """Features spread over the SAE, without those that give NaN; none if too many do."""
        n_features = self._subject.info.n_features
        some = np.linspace(0, n_features - 1, min(n_features, _TRIAL_FEATURES)).astype(int).tolist()
        window = list(range(min(TRIAL_STEP, self._subject.window_size)))
        for _ in range(_MOST_BROKEN):
            try:
                self._subject.encode_windows([window], some)
            except ActivationNotFinite as error:
                some = [feature for feature in some if error.feature not in (None, feature)]
            else:
                return some
        return []


def _passes(shape: Shape, vocabulary_size: int) -> Iterator[list[_Window]]:
    """A shortest and a longest text, each alone, then both in few and in many places."""
    random = np.random.default_rng(shape.longest)
    texts: list[_Window] = [
        tuple(random.integers(vocabulary_size, size=length).tolist())
        for length in (shape.shortest, shape.longest)
    ]
    for some in (texts[:1], texts[1:], texts, 3 * texts):
        yield shape.rows(some)
    yield _filled(texts, shape.most_texts)


def _filled(items: Sequence[T], least: int) -> list[T]:
    return [items[place % len(items)] for place in range(max(least, len(items)))]
