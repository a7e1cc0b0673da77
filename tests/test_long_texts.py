"""Texts longer than the context: every token in its place, behind enough of the text before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import FakeSubject
from tools.errors import EmptyText
from tools.long_texts import measure_texts


class Counting(FakeSubject):
    """Feature 0 tells how many tokens of its window stand before a token."""

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        return [
            np.repeat(np.arange(len(window), dtype=np.float32)[:, None], len(features), axis=1)
            for window in windows
        ]


@pytest.mark.parametrize("n_words", [1, 8, 9, 12, 13, 17, 100, 401])
def test_every_token_is_read_behind_half_a_window(n_words: int) -> None:
    subject = Counting(window_size=8)
    text = " ".join(["cat"] * n_words)
    ids = subject.tokenize(text)
    if len(ids) <= 8:
        (found,) = measure_texts(FakeSubject(window_size=8), [text], [1, 2])
        assert len(found.tokens) == len(ids)
        return
    (found,) = measure_texts(subject, [text], [1, 2])
    assert list(found.token_ids) == ids
    assert "".join(found.tokens) == "".join(subject.surfaces(ids))
    before = found.activations[:, 0]
    assert (before >= np.minimum(np.arange(len(ids)), 4)).all()
    assert before[:8].tolist() == list(range(8))


def test_a_short_text_is_measured_as_ever_and_an_empty_one_refused() -> None:
    subject = FakeSubject()
    (found,) = measure_texts(subject, ["red cat"], [1])
    np.testing.assert_array_equal(
        found.activations, subject.activations(["red cat"], [1])[0].activations
    )
    with pytest.raises(EmptyText):
        measure_texts(subject, [""], [1])
