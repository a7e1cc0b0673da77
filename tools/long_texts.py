"""Texts of any length: one that is longer than the context is read in windows that overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.activations import Subject, TextActivations

_WINDOWS_AT_ONCE = 16


def measure_texts(
    subject: Subject, texts: Sequence[str], features: Sequence[int]
) -> list[TextActivations]:
    """What `Subject.activations` gives, for texts of any length.

    Of a text that is longer than the context every token is read behind at least half a window of
    the text before it, or behind all of it.

    Raises:
        SubjectError: as `Subject.activations` does, but for the length.
    """
    return [_measure(subject, text, features) for text in texts]


def _measure(subject: Subject, text: str, features: Sequence[int]) -> TextActivations:
    ids, size = subject.tokenize(text), subject.window_size
    if len(ids) <= size:
        return subject.activations([text], features)[0]
    stride = max(1, size // 2)
    starts = [*range(0, len(ids) - size, stride), len(ids) - size]
    windows = [ids[start : start + size] for start in starts]
    activations = np.zeros((len(ids), len(features)), np.float32)
    known = 0
    for first in range(0, len(windows), _WINDOWS_AT_ONCE):
        some = subject.encode_windows(windows[first : first + _WINDOWS_AT_ONCE], features)
        for start, measured in zip(starts[first:], some, strict=False):
            activations[known : start + size] = measured[known - start :]
            known = start + size
    return TextActivations(text, tuple(ids), tuple(subject.surfaces(ids)), activations)
