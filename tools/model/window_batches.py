"""Token windows as one batch for a model, and which of their tokens count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tools.activations import RUNG_TOKENS
from tools.errors import SubjectError, TextTooLong


@dataclass(frozen=True)
class WindowBatches:
    """How windows are laid out for one model and SAE."""

    bos: tuple[int, ...]
    """Put before each window."""
    window_size: int
    """Longest window in tokens, without BOS."""
    vocabulary_size: int
    left_out: frozenset[int]
    """Special tokens, and those left out of the SAE's training."""
    device: torch.device

    @cached_property
    def _is_left_out(self) -> NDArray[np.bool_]:
        """Shape (vocabulary_size,)."""
        return np.isin(np.arange(self.vocabulary_size), list(self.left_out))

    def padded(self, windows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Token ids, right-padded behind their BOS, and which of them are the windows' own.

        Returns:
            Two tensors of shape (n_windows, BOS and the rung of the longest window), integer and
            boolean.

        Raises:
            TextTooLong: a window is longer than `window_size`.
            SubjectError: a token id is not in the vocabulary.
        """
        lengths = np.array([len(window) for window in windows])
        longest = int(lengths.max())
        if longest > self.window_size:
            raise TextTooLong(
                f"a text has {longest} tokens, but at most {self.window_size} fit the context of "
                f"{self.window_size + len(self.bos)} (special tokens included); shorten or split it"
            )
        start = len(self.bos)
        rung = -(-(start + max(1, longest)) // RUNG_TOKENS) * RUNG_TOKENS
        width = min(start + self.window_size, rung)
        ids = np.zeros((len(windows), width), dtype=np.int64)
        ids[:, :start] = self.bos
        for row, window in zip(ids, windows, strict=True):
            row[start : start + len(window)] = window
        if ids.max() >= self.vocabulary_size:
            raise SubjectError(
                f"token id {ids.max()} is not in the model's vocabulary of "
                f"{self.vocabulary_size}; use the tokenizer that belongs to the model"
            )
        columns = np.arange(ids.shape[1])
        keep = (columns >= start) & (columns < start + lengths[:, None])
        return torch.from_numpy(ids).to(self.device), torch.from_numpy(keep).to(self.device)

    def with_padding(self, keep: Tensor) -> Tensor:
        """All tokens behind BOS, the padding included, in the shape of `padded`'s second tensor."""
        everything = torch.ones_like(keep)
        everything[:, : len(self.bos)] = False
        return everything

    def silent(self, windows: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
        """Which tokens get 0 whatever the SAE says; shape (tokens of all windows,)."""
        flat = np.concatenate([np.asarray(window, dtype=np.int64) for window in windows])
        return self._is_left_out[flat]
