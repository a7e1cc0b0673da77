"""A subject that several threads share."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tools.activations import Subject, SubjectInfo, TextActivations


class SharedSubject:
    """A Subject that measures for one thread at a time, and tokenises for any number.

    The hooks on a model hold one batch, and one batch keeps every core busy.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._measuring = threading.Lock()

    @property
    def info(self) -> SubjectInfo:
        """See `Tokenization.info`."""
        return self._subject.info

    @property
    def window_size(self) -> int:
        """See `Tokenization.window_size`."""
        return self._subject.window_size

    def tokenize(self, text: str) -> list[int]:
        """See `Tokenization.tokenize`."""
        return self._subject.tokenize(text)

    def surfaces(self, token_ids: Sequence[int]) -> list[str]:
        """See `Tokenization.surfaces`."""
        return self._subject.surfaces(token_ids)

    def activations(self, texts: Sequence[str], features: Sequence[int]) -> list[TextActivations]:
        """See `Subject.activations`."""
        with self._measuring:
            return self._subject.activations(texts, features)

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        """See `Subject.encode_windows`."""
        with self._measuring:
            return self._subject.encode_windows(windows, features)
