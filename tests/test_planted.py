"""Planted features mean what they say, and a subject made of them behaves like any other."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.planted import FEATURES, Planted, PlantedSubject, planted_subject
from evaluation.planted.meaning import (
    NOISE_LEAST,
    NOISE_MOST,
    NOISE_RATE,
    VARIATION,
    WITHOUT_DECOY,
)
from evaluation.planted.subject import LARGEST, SMALLEST, WINDOW_SIZE, amplitude
from evaluation.planted.text import Text
from evaluation.planted.where import (
    ECHO,
    IN_BRACKETS,
    IN_COMMENT,
    IN_QUOTES,
    LINE_START,
    PAIR_SEEN,
    SEEN,
    Where,
    earlier,
    like,
    token,
    within,
)
from evaluation.truth import KnownTruth
from tests.planted_examples import EXAMPLES, On
from tools.activations import Subject
from tools.corpus import CorpusSpec
from tools.errors import (
    EmptyText,
    FeatureOutOfRange,
    InvalidText,
    SubjectError,
    TextTooLong,
)
from tools.harvest.bands import TOP_WINDOWS
from tools.harvest.sampling import CorpusSample, sample_corpus
from tools.rules import Windows

ALL = range(len(FEATURES))
LEAST_WINDOWS = 4
"""Fewer active windows than these in the propose split, and a feature is too rare."""


@cache
def subject() -> PlantedSubject:
    return planted_subject()


@cache
def sample() -> CorpusSample:
    return sample_corpus(subject(), CorpusSpec("python-stdlib", max_tokens=300_000), 0)


@cache
def windows() -> list[tuple[int, ...]]:
    return [window.token_ids for window in sample().windows]


@cache
def measured() -> list[NDArray[np.float32]]:
    """Activations of every feature, as shares of its amplitude, on every window."""
    scales = np.array([amplitude(feature) for feature in ALL], np.float32)
    return [values / scales for values in subject().encode_windows(windows(), list(ALL))]


@cache
def laid_out() -> Text:
    return Text.of([subject().surfaces(window) for window in windows()])


@cache
def true_shares(feature: int) -> NDArray[np.float32]:
    return FEATURES[feature].shares(laid_out())


def column(feature: int) -> NDArray[np.float32]:
    return np.concatenate([values[:, feature] for values in measured()])


def test_there_is_enough_of_every_kind() -> None:
    families = [feature.family for feature in FEATURES]
    assert len(FEATURES) >= 48
    assert len(set(families)) >= 16
    assert min(families.count(family) for family in families) >= 3
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert sum(bool(feature.decoy) for feature in FEATURES) >= 8
    assert sum(feature.noisy for feature in FEATURES) >= 16
    assert sum(feature.rare for feature in FEATURES) >= 3
    assert all(feature.statement.endswith(".") for feature in FEATURES)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_feature_means_what_its_examples_say(feature: Planted) -> None:
    examples = EXAMPLES[feature.name]
    texts = [[getattr(item, "token", item) for item in example] for example in examples]
    expected = [getattr(item, "share", 0.0) for example in examples for item in example]
    np.testing.assert_allclose(feature.shares(Text.of(texts)), expected, rtol=1e-6)
    # Given one by one, so that nothing is seen across borders; and as rules are given texts.
    apart = np.concatenate([feature.shares(Text.of([text])) for text in texts])
    np.testing.assert_allclose(apart, expected, rtol=1e-6)
    np.testing.assert_allclose(feature.predict_windows(Windows.of(texts)), expected, rtol=1e-6)
    assert any(isinstance(item, On) for item in examples[0])


def test_no_example_is_of_something_else() -> None:
    assert set(EXAMPLES) == {feature.name for feature in FEATURES}


def plain_line_start(tokens: list[str], i: int) -> bool:
    return bool(tokens[i].strip()) and not "".join(tokens[:i]).rpartition("\n")[2].strip()


def plain_in_quotes(tokens: list[str], i: int) -> bool:
    line = [found.replace('"""', "") for found in tokens[:i]]
    return "".join(line).rpartition("\n")[2].count('"') % 2 == 1


def plain_in_comment(tokens: list[str], i: int) -> bool:
    return "#" in "".join(tokens[:i]).rpartition("\n")[2]


def plain_in_brackets(tokens: list[str], i: int) -> bool:
    depth = 0
    for found in tokens[:i]:
        opened = sum(found.count(mark) for mark in "([{")
        depth = max(0, depth + opened - sum(found.count(mark) for mark in ")]}"))
    return depth > 0


PLAIN = {
    "line start": (LINE_START, plain_line_start),
    "in quotes": (IN_QUOTES, plain_in_quotes),
    "in comment": (IN_COMMENT, plain_in_comment),
    "in brackets": (IN_BRACKETS, plain_in_brackets),
    "seen": (SEEN, lambda tokens, i: tokens[i] in tokens[:i]),
    "pair seen": (PAIR_SEEN, lambda t, i: i > 0 and (t[i - 1], t[i]) in set(pairwise(t[:i]))),
    "echo": (ECHO, lambda tokens, i: i >= 2 and tokens[i - 2] == tokens[i]),
    "within": (within(5, token(" self")), lambda t, i: " self" in t[max(0, i - 5) : i]),
    "earlier": (earlier(like(r" ?[0-9]+")), lambda t, i: any(x.strip().isdecimal() for x in t[:i])),
}


@pytest.mark.parametrize("name", PLAIN)
def test_arithmetic_on_arrays_agrees_with_plain_loops(name: str) -> None:
    where, plain = PLAIN[name]
    texts = [subject().surfaces(window) for window in windows()[::60]]
    expected = [plain(tokens, i) for tokens in texts for i in range(len(tokens))]
    assert 0 < sum(expected) < len(expected)
    assert where.holds(Text.of(texts)).tolist() == expected


def test_conditions_combine() -> None:
    text = Text.of([["a", "b", "c"]])
    a, b = token("a"), token("b")
    assert (a | b).holds(text).tolist() == [True, True, False]
    assert (~a & ~b).holds(text).tolist() == [False, False, True]
    nothing = Where(lambda text: np.zeros(len(text), np.bool_))
    assert not earlier(nothing).holds(text).any()
    assert not len(LINE_START.holds(Text.of([])))


@pytest.mark.parametrize("feature", ALL)
def test_activations_are_the_truth_but_for_noise(feature: int) -> None:
    true, found, planted = true_shares(feature), column(feature), FEATURES[feature]
    fires = true > 0
    assert (found[fires] <= true[fires] * 1.00001).all()
    assert (found[fires] >= true[fires] * (1 - VARIATION) * 0.99999).all()
    elsewhere = found[~fires]
    assert bool((elsewhere > 0).any()) == planted.noisy
    if planted.noisy:
        assert (elsewhere > 0).mean() == pytest.approx(NOISE_RATE, rel=0.4)
        weak = elsewhere[elsewhere > 0]
        assert NOISE_LEAST * 0.999 <= weak.min() <= weak.max() <= NOISE_MOST * 1.001 < 0.15
        assert np.corrcoef(true, found)[0, 1] > 0.97


@pytest.mark.parametrize("feature", ALL)
def test_a_feature_is_alive_unless_it_is_meant_to_be_rare(feature: int) -> None:
    fires = [bool((values[:, feature] > NOISE_MOST).any()) for values in measured()]
    proposed = sum(
        fired
        for fired, window in zip(fires, sample().windows, strict=True)
        if window.split == "propose"
    )
    if FEATURES[feature].rare:
        assert proposed < 3 * LEAST_WINDOWS
        assert (column(feature) > 0).sum() < 30
    else:
        assert proposed >= 5 * LEAST_WINDOWS


def test_some_rare_feature_fires_at_all() -> None:
    rare = [feature for feature in ALL if FEATURES[feature].rare]
    assert any((column(feature) > 0).any() for feature in rare)


@pytest.mark.parametrize("feature", [f for f in ALL if FEATURES[f].decoy])
def test_a_decoy_is_in_every_top_window_and_never_the_reason(feature: int) -> None:
    planted, found = FEATURES[feature], column(feature)
    decoys = token(*planted.decoy).holds(laid_out())
    assert decoys.any()
    assert not found[decoys].any()
    peaks = np.array([values[:, feature].max() for values in measured()])
    proposed = np.array([window.split == "propose" for window in sample().windows])
    for index in np.argsort(-(peaks * proposed))[:TOP_WINDOWS]:
        peak = int(measured()[index][:, feature].argmax())
        before = subject().surfaces(windows()[index][:peak])
        assert set(planted.decoy) & set(before)
    without = ~earlier(token(*planted.decoy)).holds(laid_out())
    assert (found[without] >= 0.5).any()
    assert found[without].max() <= WITHOUT_DECOY * 1.00001


def test_the_same_text_has_the_same_activations_in_every_batch() -> None:
    chosen = windows()[:40]
    together = subject().encode_windows(chosen, list(ALL))
    backwards = subject().encode_windows(chosen[::-1], list(ALL))[::-1]
    for window, a, b in zip(chosen, together, backwards, strict=True):
        (alone,) = subject().encode_windows([window], list(ALL))
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, alone)
    (again,) = planted_subject().encode_windows(chosen[:1], [5, 1, 8])
    np.testing.assert_array_equal(again, together[0][:, [5, 1, 8]])


def test_nothing_depends_on_what_comes_later() -> None:
    for window in windows()[:200:20]:
        (whole,) = subject().encode_windows([window], list(ALL))
        (part,) = subject().encode_windows([window[:50]], list(ALL))
        np.testing.assert_array_equal(whole[:50], part)


def test_scales_differ_by_orders_of_magnitude() -> None:
    scales = [amplitude(feature) for feature in ALL]
    assert min(scales) == pytest.approx(SMALLEST)
    assert max(scales) == pytest.approx(LARGEST)
    assert len(set(scales)) == len(scales)
    values = np.concatenate(subject().encode_windows(windows()[:300], list(ALL)))
    common = [feature for feature in ALL if not FEATURES[feature].rare]
    for feature in common:
        assert 0.5 * scales[feature] < values[:, feature].max() <= scales[feature] * 1.00001


def test_it_is_a_subject_that_knows_the_truth() -> None:
    planted = subject()
    assert isinstance(planted, Subject)
    assert isinstance(planted, KnownTruth)
    assert planted.window_size == WINDOW_SIZE == 127
    assert planted.info == planted_subject().info
    text = "def f(self):\n    return self.append(None)\n"
    (told,) = planted.activations([text], [0, 1])
    assert "".join(told.tokens) == text
    assert told.activations.shape == (len(told.tokens), 2)
    assert told.activations.dtype == np.float32
    assert told.tokens[int(told.activations[:, 1].argmax())] == "append"
    truth = planted.truth(0)
    assert (truth.family, truth.statement) == (
        "single token",
        "Fires on the token ' return', more strongly once ' raise' has occurred in the text.",
    )
    assert planted.encode_windows([], [0]) == []


def test_what_cannot_be_measured_is_refused() -> None:
    planted = subject()
    with pytest.raises(FeatureOutOfRange, match="0 to"):
        planted.activations(["x"], [len(FEATURES)])
    with pytest.raises(FeatureOutOfRange):
        planted.truth(-1)
    with pytest.raises(TextTooLong, match="at most 127"):
        planted.activations([" x" * 300], [0])
    with pytest.raises(EmptyText):
        planted.activations([""], [0])
    with pytest.raises(InvalidText):
        planted.activations(["\ud800"], [0])
    with pytest.raises(SubjectError, match="vocabulary of 4096"):
        planted.encode_windows([[4096]], [0])
