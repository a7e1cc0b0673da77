"""What a draw gives: passages, each with why it was drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.held_out import FeatureText, Passage, passage

Kind = Literal["high", "medium", "low", "firing", "top", "weighted", "near_miss", "random"]
"""Why a text was drawn. `high`, `medium` and `low`: by its place in the ranking of the windows that
fire; `firing`: it fires strongly enough to count; `top` and `weighted`: by the activation at its
centre; `near_miss`: it is silent although it holds tokens on which the feature fires elsewhere;
`random`: by chance."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnText:
    """A passage and why it was drawn."""

    passage: Passage
    kind: Kind


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive tokens of one window, counted from the start of the split's first window."""

    begin: int
    end: int
    """The first token behind it."""

    def around(self, token: int, reach: int) -> Stretch:
        """What of it lies within `reach` tokens of `token`."""
        return Stretch(max(self.begin, token - reach), min(self.end, token + reach + 1))

    def placed(self, token: int, length: int, random: np.random.Generator) -> Stretch:
        """`length` tokens of it, or all there are, with `token` at a random place."""
        length = min(length, self.end - self.begin)
        first = max(self.begin, token - length + 1)
        begin = int(random.integers(first, min(token, self.end - length) + 1))
        return Stretch(begin, begin + length)

    def passage(self, text: FeatureText, *, context: bool = False) -> Passage:
        """It with its activations, and with what stands before it in its window if asked for."""
        window, start = self._window(text)
        return passage(text, window, self.begin - start, self.end - start, context=context)

    def token_ids(self, text: FeatureText) -> tuple[int, ...]:
        """Its tokens as the subject reads them."""
        window, start = self._window(text)
        return text.text.token_ids[window][self.begin - start : self.end - start]

    def _window(self, text: FeatureText) -> tuple[int, int]:
        window = int(text.text.windows_of(self.begin))
        return window, int(text.text.starts[window])


def window_stretch(text: FeatureText, window: int) -> Stretch:
    """A whole window."""
    begin, end = text.text.starts[window : window + 2]
    return Stretch(int(begin), int(end))


def peak(text: FeatureText, window: int) -> int:
    """The first token on which a window has its maximum, counted over the split."""
    return int(text.text.starts[window]) + int(np.argmax(text.window(window)))
