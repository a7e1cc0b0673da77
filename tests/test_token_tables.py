"""Tables of tokens and of pairs, against hand-computed means and plain counting."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from evaluation.baselines.token_tables import BigramTable, PairMeans, TokenMeans, UnigramTable
from evaluation.held_out import FeatureText
from tests.desks import PROPOSED, desk, split_text
from tools.llm.costs import NOTHING_SPENT
from tools.rules import Windows


def predictions(table: TokenMeans | PairMeans, *windows: Sequence[str]) -> list[float]:
    found = table.predict_windows(Windows.of(windows))
    assert found.dtype == np.float32
    return [round(value, 5) for value in found.tolist()]


def test_the_unigram_table_has_the_mean_over_all_occurrences() -> None:
    table = TokenMeans.of(PROPOSED, scale=8.0)
    # 'b' has 4, 2 and 6: a mean of 4, half of the scale; 'z' was never seen.
    assert predictions(table, ["b", "a", "z"], ["b"]) == [0.5, 0.0, 0.0, 0.5]
    # No more than the scale.
    assert predictions(TokenMeans.of(PROPOSED, scale=2.0), ["b"]) == [1.0]
    assert predictions(table) == []


def test_the_bigram_table_backs_off_to_the_unigram() -> None:
    table = PairMeans.of(PROPOSED, scale=8.0)
    # 'a b' twice with a mean of 3: (2 * 3/8 + 1 * 4/8) / 3; 'b a' is silent; 'b b' was seen only
    # across the border of two windows, and 'z' never.
    twice = round((2 * 3 / 8 + 4 / 8) / 3, 5)
    assert predictions(table, ["a", "b", "a"]) == [0.0, twice, 0.0]
    assert predictions(table, ["b", "b"], ["z", "b"], ["b", "z"]) == [0.5, 0.5, 0.0, 0.5, 0.5, 0.0]
    # A pair does not reach across the border of two windows.
    assert predictions(table, ["a"], ["b"]) == [0.0, 0.5]
    once = FeatureText(split_text(["a", "b"], ["b"], ["b"]), np.array([0, 8, 0, 1], np.float32))
    half_way = round((1 + 3 / 8) / 2, 5)
    assert predictions(PairMeans.of(once, 8.0), ["a", "b"]) == [0.0, half_way]


def test_tables_agree_with_plain_counting() -> None:
    random = np.random.default_rng(1)
    windows = [random.choice(list("abcdefgh"), size=n).tolist() for n in random.integers(1, 9, 60)]
    text = split_text(*windows)
    values = np.where(random.random(int(text.starts[-1])) < 0.4, random.random(), 0)
    proposed = FeatureText(text, values.astype(np.float32))
    singles: dict[str, list[float]] = {}
    pairs: dict[tuple[str, str], list[float]] = {}
    for window, found in zip(windows, text.split(proposed.activations), strict=True):
        for index, (token, value) in enumerate(zip(window, found.tolist(), strict=True)):
            singles.setdefault(token, []).append(value)
            if index:
                pairs.setdefault((window[index - 1], token), []).append(value)
    table, paired = TokenMeans.of(proposed, 2.0), PairMeans.of(proposed, 2.0)
    for token, seen in singles.items():
        common = np.mean(seen) / 2
        assert predictions(table, [token]) == pytest.approx([common], abs=1e-5)
        for before in singles:
            own = pairs.get((before, token), [])
            expected = (sum(own) / 2 + common) / (len(own) + 1)
            assert predictions(paired, [before, token])[1] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("baseline", [UnigramTable(), BigramTable()])
def test_a_table_has_no_words_and_is_told_by_its_digest(baseline: Any) -> None:
    found, again = baseline.explain(desk()), baseline.explain(desk())
    assert (found.description, found.missing, found.spent) == (None, "", NOTHING_SPENT)
    assert found.digest == again.digest
    louder = FeatureText(PROPOSED.text, PROPOSED.activations + np.float32(0.5))
    assert baseline.explain(desk(proposed=louder)).digest != found.digest
    assert len(json.dumps(dict(found.content))) < 200
