"""Token sequences in the form that conditions are evaluated on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tools.rules.vocabulary import Vocabulary

T = TypeVar("T")

Mask = NDArray[np.bool_]
"""One truth value per token."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Several token sequences laid end to end, every distinct surface stored once.

    A condition on a token's surface is decided once per distinct surface and spread by `codes`; a
    condition on what came before looks back `positions` tokens at most, so that nothing is seen
    across the border between two windows.
    """

    vocabulary: Vocabulary
    """The distinct surfaces, in order of first occurrence."""
    codes: NDArray[np.int64]
    """Shape (n_tokens,): index into `vocabulary`."""
    positions: NDArray[np.int64]
    """Shape (n_tokens,): index of the token within its own window."""
    memo: dict[Hashable, Any] = field(default_factory=dict[Hashable, Any], repr=False)
    """What was computed before: induction asks for the same condition many times."""
    parts: tuple[Windows, ...] = ()
    """What these windows were joined from, if they were: conditions hold as they do there."""

    @classmethod
    def of(cls, windows: Iterable[Sequence[str]]) -> Windows:
        """Lay `windows`, each a sequence of token surfaces, end to end."""
        index: dict[str, int] = {}
        codes: list[int] = []
        lengths: list[int] = []
        for tokens in windows:
            codes.extend([index.setdefault(token, len(index)) for token in tokens])
            lengths.append(len(tokens))
        positions = [np.arange(length) for length in lengths]
        return cls(
            vocabulary=Vocabulary(index),
            codes=np.asarray(codes, dtype=np.int64),
            positions=np.concatenate(positions) if positions else np.zeros(0, dtype=np.int64),
        )

    def followed_by(self, other: Windows) -> Windows:
        """These windows and then those of `other`."""
        if not len(other):
            return self
        index = dict(self.vocabulary.code_of)
        codes = [index.setdefault(surface, len(index)) for surface in other.vocabulary]
        return Windows(
            vocabulary=Vocabulary(index),
            codes=np.concatenate([self.codes, np.asarray(codes, dtype=np.int64)[other.codes]]),
            positions=np.concatenate([self.positions, other.positions]),
            parts=(self, other),
        )

    def __len__(self) -> int:
        """Number of tokens in all windows."""
        return len(self.codes)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Shape (n_tokens,): index of the first token of each token's window."""
        return np.arange(len(self)) - self.positions

    def spelled(self, codes: Iterable[int]) -> list[str]:
        """The surfaces of some codes."""
        return [self.vocabulary[code] for code in codes]

    def surfaces(self, predicate: Callable[[str], bool]) -> Mask:
        """Tokens whose surface meets `predicate`, which is asked once per distinct surface."""
        return truths(predicate, self.vocabulary)[self.codes]

    def numbers(self, of: Callable[[str], int]) -> NDArray[np.int64]:
        """A number for each token, computed once per distinct surface."""
        table = np.fromiter(map(of, self.vocabulary), np.int64, count=len(self.vocabulary))
        return table[self.codes]

    def coded(self, codes: Iterable[int]) -> Mask:
        """Tokens that have one of these codes."""
        table = np.zeros(len(self.vocabulary), dtype=bool)
        table[list(codes)] = True
        return table[self.codes]

    def remember(self, key: Hashable, compute: Callable[[Windows], T]) -> T:
        """What `compute` gives, asked at the first call with `key` only."""
        if key not in self.memo:
            self.memo[key] = compute(self)
        return self.memo[key]

    @contextmanager
    def forgetting(self) -> Generator[None]:
        """Forget afterwards what is remembered within: of what is tried, little is asked again."""
        known = [(windows, set(windows.memo)) for windows in self._whole_and_parts()]
        try:
            yield
        finally:
            for windows, keys in known:
                for key in windows.memo.keys() - keys:
                    del windows.memo[key]

    def _whole_and_parts(self) -> Iterator[Windows]:
        yield self
        for part in self.parts:
            yield from part._whole_and_parts()

    def latest(self, mask: Mask, back: int = 1) -> NDArray[np.int64]:
        """Where `mask` last held, up to `back` tokens before each token.

        Returns:
            Shape (n_tokens,): an index of these windows; where there is none in the token's own
            window, some index below the window's first.
        """
        held = np.maximum.accumulate(np.where(mask, np.arange(len(self)), -1))
        back = min(back, len(self))
        return np.concatenate([np.full(back, -1), held[: len(self) - back]])

    def earlier(self, mask: Mask, nearest: int, farthest: int) -> Mask:
        """Tokens before which `mask` holds, between `nearest` and `farthest` tokens earlier."""
        reach = np.maximum(np.arange(len(self)) - farthest, self.starts)
        return self.latest(mask, nearest) >= reach


def truths(predicate: Callable[[str], bool], texts: Sequence[str]) -> Mask:
    """The truth of `predicate` for each of `texts`; shape (n_texts,)."""
    return np.fromiter(map(predicate, texts), dtype=bool, count=len(texts))
