"""How many tokens go through the subject at once: measured, and halved where memory is short."""

from __future__ import annotations

import warnings

from tools.errors import OutOfMemory

BATCH_TOKENS = 2_048
"""Tokens per forward pass: enough to keep a core busy, few enough to keep activations small."""

_CANDIDATES = (BATCH_TOKENS, BATCH_TOKENS // 2, BATCH_TOKENS * 2)
_TRIALS = 3
"""Batches of each size that are timed."""
_LONG = 16 * _TRIALS * sum(_CANDIDATES)
"""Tokens of a harvest from which on the trials are worth their noise."""
_WORTH = 0.95
"""A size must take less than this share of the usual one's time to be preferred."""


class BatchSize:
    """Chooses among a few sizes by the time that the first batches take.

    What is measured does not depend on the choice: windows of a batch are of one length.
    """

    def __init__(self, tokens: int | None, total: int) -> None:
        """Use `tokens`; where None, what is quickest in a harvest of `total` tokens."""
        self._tokens = tokens if tokens or total >= _LONG else BATCH_TOKENS
        self._fastest: dict[int, list[float]] = {size: [] for size in _CANDIDATES}

    @property
    def tokens(self) -> int:
        """Tokens that the next batch should hold, padding counted."""
        if self._tokens is not None:
            return self._tokens
        return min(self._fastest, key=lambda size: len(self._fastest[size]))

    def took(self, tokens: int, seconds: float) -> None:
        """Take note of what a batch of so many tokens took."""
        size = min((tried for tried in _CANDIDATES if tried >= tokens), default=0)
        # Batches that are not full say nothing of their size.
        if self._tokens is not None or not tokens >= _WORTH * size > 0:
            return
        self._fastest[size].append(seconds / tokens)
        if all(len(times) >= _TRIALS for times in self._fastest.values()):
            best = {tried: min(times) for tried, times in self._fastest.items()}
            quickest = min(best, key=best.__getitem__)
            better = best[quickest] < _WORTH * best[BATCH_TOKENS]
            self._tokens = quickest if better else BATCH_TOKENS

    def halve(self, n_windows: int, error: OutOfMemory) -> None:
        """Go on with half as many tokens after a batch that did not fit, and say so.

        Raises:
            OutOfMemory: the batch was a single window.
        """
        if n_windows <= 1:
            raise error
        smaller = max(1, self.tokens // 2)
        warnings.warn(
            f"there was not enough memory for {self.tokens} tokens at once; going on with "
            f"{smaller}, which takes longer but measures the same",
            RuntimeWarning,
            stacklevel=2,
        )
        self._tokens = smaller
