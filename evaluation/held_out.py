"""Held-out text: the evaluate split, and one feature's activations on every token of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tools.rules import Windows


@dataclass(frozen=True, eq=False)
class SplitText:
    """All windows of one split of the corpus, without anybody's activations."""

    token_ids: tuple[tuple[int, ...], ...]
    """Per window, special tokens left out."""
    tokens: tuple[tuple[str, ...], ...]
    """Per window, the surfaces."""

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Shape (n_windows + 1,): where each window starts when all are laid end to end."""
        return np.cumsum([0, *map(len, self.tokens)], dtype=np.int64)

    @cached_property
    def _laid_out(self) -> Windows:
        return Windows.of(self.tokens)

    def laid_out(self) -> Windows:
        """All windows end to end, as rules read them; each call remembers masks of its own."""
        whole = self._laid_out
        return Windows(whole.vocabulary, whole.codes, whole.positions)

    def windows_of(self, tokens: ArrayLike) -> NDArray[np.intp]:
        """The windows that tokens lie in, which are counted from the start of the first window."""
        return np.searchsorted(self.starts, tokens, side="right") - 1

    def split(self, flat: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Something of shape (n_tokens,) by window."""
        return np.split(flat, self.starts[1:-1])


@dataclass(frozen=True, eq=False)
class FeatureText:
    """How one feature fires on a split, measured in full context."""

    text: SplitText
    activations: NDArray[np.float32]
    """Shape (n_tokens,), all windows end to end, in the SAE's units."""

    def window(self, index: int) -> NDArray[np.float32]:
        """The activations on one window; shape (n_tokens_of_window,)."""
        begin, end = self.text.starts[index : index + 2]
        return self.activations[begin:end]

    @cached_property
    def maxima(self) -> NDArray[np.float32]:
        """Shape (n_windows,): the largest activation in each window."""
        if not len(self.activations):
            return np.zeros(0, np.float32)
        return np.maximum.reduceat(self.activations, self.text.starts[:-1])

    @cached_property
    def firing(self) -> NDArray[np.intp]:
        """The windows that fire anywhere, strongest first; a tie goes to the earlier one."""
        order = np.lexsort((np.arange(len(self.maxima)), -self.maxima))
        return order[self.maxima[order] > 0]

    @cached_property
    def silent(self) -> NDArray[np.intp]:
        """The windows that fire nowhere, ascending."""
        return np.flatnonzero(self.maxima <= 0)


@dataclass(frozen=True, eq=False)
class Passage:
    """A stretch of text with its measured activations, to be predicted from an explanation."""

    id: str
    """Unique within a feature, such as `w12@40`: window 12 of the evaluate split, token 40."""
    tokens: tuple[str, ...]
    """Surfaces of all that a judge may read: what is scored, and the context before it."""
    start: int
    """Tokens before this one are context: read, not scored. What is scored goes to the end."""
    activations: NDArray[np.float32] = field(repr=False)
    """Shape (len(tokens) - start,): measured truth of the scored tokens, in the SAE's units."""

    @property
    def scored(self) -> tuple[str, ...]:
        """The tokens that are scored."""
        return self.tokens[self.start :]

    @property
    def text(self) -> str:
        """All of it as text."""
        return "".join(self.tokens)


def passage(text: FeatureText, window: int, begin: int, end: int, *, context: bool) -> Passage:
    """Tokens `begin` to `end` of a window, with or without what stands before them to be read."""
    tokens: Sequence[str] = text.text.tokens[window]
    first = 0 if context else begin
    return Passage(
        id=f"w{window}@{begin}",
        tokens=tuple(tokens[first:end]),
        start=begin - first,
        activations=text.window(window)[begin:end],
    )
