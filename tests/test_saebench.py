"""SAEBench's fourteen windows: as published, and measured."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from evaluation.draws.centres import centred_windows
from evaluation.exam import Exam
from evaluation.held_out import Passage
from evaluation.scorers.saebench import SAEBENCH
from evaluation.scores import UNDEFINED, Score
from tests.exams import (
    RuleJudge,
    TellingJudge,
    candidate,
    exam_on,
    fires,
    rare_exam,
    reseeded,
    rule,
)
from tests.fakes import Planted, fake_corpus, on_tokens
from tools.errors import Unscorable
from tools.rules import TokenIn

CAT = on_tokens("cat", "cat", scale=3.0)
CATS = rule(TokenIn(("cat", " cat")))


def long_windows(planted: Planted = CAT, *, seed: int = 0) -> Exam:
    return exam_on(planted, fake_corpus(60), seed=seed, window_size=128)


def often(share: float) -> Planted:
    """Fires on 21 tokens that hold it with about this chance."""
    least = (1 - share) ** (1 / 21)

    def function(tokens: Sequence[str]) -> list[float]:
        draws = np.random.default_rng(len("".join(tokens))).random(len(tokens))
        return [float(draw) if draw > least else 0.0 for draw in draws]

    return Planted(f"fires in {share} of the windows", function)


def centre(passage: Passage) -> tuple[int, int]:
    window, begin = passage.id[1:].split("@")
    return int(window), int(begin) + 10


def perfect(passages: Sequence[Passage]) -> frozenset[int]:
    return frozenset(index for index, passage in enumerate(passages) if fires(passage))


def scores(exam: Exam, judge: RuleJudge) -> tuple[Score, Score]:
    published, measured = SAEBENCH.score(exam, candidate(CATS), judge)
    assert (published.metric, measured.metric) == SAEBENCH.metrics
    return published, measured


# Which windows


def test_two_are_of_the_strongest_two_weighted_and_ten_random() -> None:
    words = ("the", "a", "of", "cat", "dog", "tree", "house", "one", "two")
    whole = long_windows(on_tokens("often", *words))
    for seed in range(40):
        exam = reseeded(whole, seed)
        held_out = exam.held_out
        inner = {
            (window, position): float(held_out.window(window)[position])
            for window in range(len(held_out.maxima))
            for position in range(10, len(held_out.window(window)) - 10)
        }
        strongest: list[tuple[int, int]] = []
        for place in sorted(inner, key=lambda place: (-inner[place], place)):
            clear = all(w != place[0] or abs(p - place[1]) > 10 for w, p in strongest)
            if clear and len(strongest) < 12:
                strongest.append(place)
        texts = centred_windows(exam)
        assert Counter(t.kind for t in texts) == {"top": 2, "weighted": 2, "random": 10}
        assert len({text.passage.id for text in texts}) == 14
        for text in texts:
            place = centre(text.passage)
            assert len(text.passage.tokens) == len(text.passage.scored) == 21
            assert text.passage.activations[10] == held_out.window(place[0])[place[1]]
            if text.kind == "top":
                assert place in strongest
            if text.kind == "weighted":
                assert 0 < inner[place] < min(inner[each] for each in strongest)
                assert all(w != place[0] or abs(p - place[1]) > 20 for w, p in strongest)


def test_weighted_centres_are_drawn_by_the_square_of_the_activation() -> None:
    # One token in each window of 32: 12 strongest, then 20 at 1 and 20 at 3, which weighs 9 to 1.
    silent = Planted("none", lambda tokens: [0.0] * len(tokens))
    exam = exam_on(silent, [" tree two" * 16] * 80)
    flat = exam.held_out.activations.copy()
    for window, activation in enumerate([9.0] * 12 + [1.0] * 20 + [3.0] * 20):
        flat[int(exam.held_out.text.starts[window]) + 15] = activation
    exam = replace(exam, held_out=replace(exam.held_out, activations=flat))
    drawn = Counter(
        float(text.passage.activations[10])
        for seed in range(200)
        for text in centred_windows(reseeded(exam, seed))
        if text.kind == "weighted"
    )
    assert set(drawn) == {1.0, 3.0}
    assert drawn[3.0] / 400 == pytest.approx(0.9, abs=0.05)


def test_random_windows_are_drawn_whatever_the_feature_does_there() -> None:
    exam = long_windows(often(0.5))
    found = [
        fires(text.passage)
        for seed in range(30)
        for text in centred_windows(reseeded(exam, seed))
        if text.kind == "random"
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


# The scores


def test_both_scores_by_hand() -> None:
    exam = long_windows(often(0.25))
    texts = centred_windows(exam)
    assumed = [text.kind != "random" for text in texts]
    active = [fires(text.passage) for text in texts]
    said = frozenset([0, 3, 5, 6, 11])
    judge = TellingJudge(picks=lambda passages: said)
    published, measured = scores(exam, judge)
    assert published.value == pytest.approx(
        sum((index in said) == label for index, label in enumerate(assumed)) / 14
    )
    hits = sum(index in said for index in range(14) if active[index]) / sum(active)
    silent = 14 - sum(active)
    rejections = sum(index not in said for index in range(14) if not active[index]) / silent
    assert measured.value == pytest.approx((hits + rejections) / 2)
    for found in (published, measured):
        assert (found.n, found.spent, found.parse_failures) == (14, judge.spent, 0.0)
        assert found.low is not None
        assert found.high is not None
        assert found.low <= (found.value or 0) <= found.high


@pytest.mark.parametrize(
    ("said", "expected"), [(range(14), 4 / 14), ((), 10 / 14)], ids=["always", "never"]
)
def test_saying_nothing_gets_five_sevenths_as_published_and_half_measured(
    said: Sequence[int], expected: float
) -> None:
    published, measured = scores(
        long_windows(), TellingJudge(picks=lambda passages: frozenset(said))
    )
    assert published.value == pytest.approx(expected)
    assert published.value == pytest.approx(
        published.trivial.always if said else published.trivial.never
    )
    assert measured.value == 0.5
    assert (measured.trivial.always, measured.trivial.never, measured.trivial.prior) == (0.5,) * 3


def test_the_prior_is_what_random_answers_get() -> None:
    random = np.random.default_rng(0)
    judge = TellingJudge(picks=lambda p: frozenset(np.flatnonzero(random.random(14) < 4 / 14)))
    exam = long_windows()
    found = [scores(exam, judge)[0] for _ in range(200)]
    assert np.mean([score.value for score in found]) == pytest.approx(
        found[0].trivial.prior, abs=0.03
    )


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_unmeasured_negatives_punish_a_perfect_judge_measured_ones_do_not(share: float) -> None:
    exam, judge = long_windows(often(share)), TellingJudge(picks=perfect)
    found = [scores(reseeded(exam, seed), judge) for seed in range(20)]
    assert np.mean([published.value for published, _ in found]) == pytest.approx(
        1 - share * 10 / 14, abs=0.06
    )
    assert all(measured.value == 1.0 for _, measured in found)


def test_the_right_rule_is_right_about_every_measured_window() -> None:
    published, measured = scores(long_windows(), RuleJudge())
    assert measured.value == 1.0
    assert published.value is not None
    assert published.value <= 1.0


def test_a_window_is_active_above_a_hundredth_of_the_largest_activation() -> None:
    exam = long_windows()
    weak = exam.held_out.activations.copy()
    order = np.argsort(-weak)
    # The firing tokens after the first hundred are faint: the windows drawn by weight among them
    # count as inactive, although they were taken for active as published.
    weak[order[12:]] *= np.float32(1e-4)
    faint = replace(exam, held_out=replace(exam.held_out, activations=weak), _memo={})
    published, measured = scores(faint, TellingJudge(picks=perfect))
    rows = {row["kind"]: row["active"] for row in measured.details["texts"]}
    assert rows["top"]
    assert not rows["weighted"]
    assert published.value is not None
    assert measured.value is not None
    assert measured.value < 1.0


def test_a_feature_that_fires_in_every_window_has_no_balanced_accuracy() -> None:
    published, measured = scores(
        long_windows(often(0.9999999)), TellingJudge(picks=lambda p: frozenset(range(14)))
    )
    assert published.value == pytest.approx(4 / 14)
    assert measured.value is None
    assert "all 14 windows are active" in measured.reason
    assert (measured.floor, measured.again, measured.trivial) == (None, False, UNDEFINED)


def test_without_an_answer_there_is_no_score_but_what_it_took() -> None:
    judge = TellingJudge(picks=lambda passages: None)
    for found in scores(long_windows(), judge):
        assert (found.value, found.parse_failures, found.spent) == (None, 1.0, judge.spent)
        assert "cut off" in found.reason
        assert (found.floor, found.again) == (None, False)


def test_a_lost_answer_is_asked_for_again() -> None:
    judge = TellingJudge(picks=lambda passages: None, lost=1)
    for found in scores(long_windows(), judge):
        assert (found.value, found.floor, found.again) == (None, None, True)
        assert "1 of 1 answers of the judge were lost" in found.reason


def test_details_are_json_with_what_was_said_and_measured() -> None:
    exam = long_windows()
    published, _ = scores(exam, RuleJudge())
    rows = json.loads(json.dumps(dict(published.details)))["texts"]
    assert [row["id"] for row in rows] == [text.passage.id for text in centred_windows(exam)]
    right = [row["said"] == (row["kind"] != "random") for row in rows]
    assert published.value == pytest.approx(np.mean(right))


# Rare features, short texts, seeds


@pytest.mark.parametrize("n_firing", [0, 1, 3, 7])
def test_a_rare_feature_has_no_score_and_a_reason(n_firing: int) -> None:
    with pytest.raises(Unscorable, match="held-out tokens"):
        SAEBENCH.score(rare_exam(n_firing), candidate(CATS), RuleJudge())


def test_windows_too_short_for_twenty_one_tokens_have_no_centre() -> None:
    with pytest.raises(Unscorable, match="fires at 0 of 0 held-out tokens"):
        SAEBENCH.score(exam_on(CAT, ["one cat two dog"] * 50), candidate(CATS), RuleJudge())


def test_windows_of_any_length_have_scores_or_reasons() -> None:
    random = np.random.default_rng(1)
    scored = 0
    for seed in range(40):
        words = random.choice([" cat", " dog", " tree", " red", " one"], size=(40, 32))
        texts = ["".join(row[: int(random.integers(1, 32))]) for row in words]
        exam = exam_on(on_tokens("cat", "cat"), texts, seed=seed)
        try:
            found = SAEBENCH.score(exam, candidate(CATS), RuleJudge())
        except Unscorable:
            continue
        scored += 1
        assert all((score.value is None) == bool(score.reason) for score in found)
    assert scored > 0


def test_equal_seeds_give_equal_scores_and_another_seed_other_windows() -> None:
    one, again, other = (scores(long_windows(seed=seed), RuleJudge()) for seed in (4, 4, 5))
    assert one == again
    assert one[0].details != other[0].details


def test_order_does_not_tell() -> None:
    exam = long_windows()
    kinds = [
        [text.kind != "random" for text in centred_windows(reseeded(exam, seed))]
        for seed in range(60)
    ]
    assert np.allclose(np.mean(kinds, axis=0), 4 / 14, atol=0.25)
