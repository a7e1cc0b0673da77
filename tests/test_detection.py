"""Detection and fuzzing: measured negatives, near misses, and nothing that gives it away."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from evaluation.draws.drawn import DrawnText
from evaluation.draws.passages import fire_or_not, marked
from evaluation.draws.silence import near_misses, silence
from evaluation.exam import Exam
from evaluation.held_out import Passage
from evaluation.judges.judge import Marked
from evaluation.scorers.detection import DETECTION
from evaluation.scorers.fuzzing import FUZZING
from evaluation.scorers.scorer import Scorer
from tests.exams import (
    RuleJudge,
    TellingJudge,
    candidate,
    contexts,
    exam_on,
    fires,
    rare_exam,
    reseeded,
    rule,
)
from tests.fakes import Planted, fake_corpus, on_tokens
from tools.errors import Unscorable
from tools.rules import InClass, TokenIn

CORPUS = fake_corpus(60)
CAT = on_tokens("cat", "cat", scale=3.0)
CATS = rule(TokenIn(("cat", " cat")))
BOTH: tuple[Scorer, ...] = (DETECTION, FUZZING)


def place(text: DrawnText | Marked) -> tuple[int, int]:
    window, begin = text.passage.id[1:].split("@")
    return int(window), int(begin)


def long_windows(planted: Planted, *, seed: int = 0) -> Exam:
    return exam_on(planted, fake_corpus(60), seed=seed, window_size=128)


def alike(seed: int = 0) -> Exam:
    """Half of the windows fire on `None`, the other half holds it and does not."""
    texts = contexts(260, before=60, after=50)
    return exam_on(
        on_tokens("None after is", "None", after="is"), texts, seed=seed, window_size=128
    )


def taught(texts: Sequence[str], activations: Sequence[float], **table: float) -> Exam:
    """Activations of a single token each, given by hand, in windows of 64."""
    silent = Planted("none", lambda tokens: [0.0] * len(tokens))
    exam = exam_on(silent, texts, window_size=64)
    flat = exam.held_out.activations.copy()
    for window, activation in enumerate(activations):
        flat[int(exam.held_out.text.starts[window]) + 40] = activation
    return replace(
        exam,
        scale=float(np.mean(sorted(activations)[-10:])),
        held_out=replace(exam.held_out, activations=flat),
        table={f" {key}": value for key, value in table.items()},
    )


# Which passages


def test_five_passages_of_each_tenth_fire_and_as_many_are_silent() -> None:
    exam = alike()
    texts = fire_or_not(exam, 5)
    assert Counter(text.kind for text in texts) == {"firing": 50, "near_miss": 25, "random": 25}
    assert {len(text.passage.tokens) for text in texts} == {32}
    ranks = {int(window): rank for rank, window in enumerate(exam.held_out.firing)}
    n = len(ranks)
    tenths = [10 * ranks[place(text)[0]] // n for text in texts if text.kind == "firing"]
    assert max(Counter(tenths).values()) <= 6
    assert set(tenths) == set(range(10))
    for text in texts:
        window, begin = place(text)
        assert np.array_equal(
            text.passage.activations, exam.held_out.window(window)[begin : begin + 32]
        )
        assert fires(text.passage) == (text.kind == "firing")
        if text.kind == "firing":
            assert text.passage.activations.max() == exam.held_out.maxima[window]


def test_no_token_is_drawn_twice() -> None:
    ends = on_tokens("the", "the", "a", "of", "to")
    for exam in (alike(), long_windows(CAT), long_windows(ends)):
        drawn: set[tuple[int, int]] = set()
        for text in fire_or_not(exam, 5):
            window, begin = place(text)
            tokens = {(window, begin + index) for index in range(len(text.passage.tokens))}
            assert not drawn & tokens
            drawn |= tokens


def test_near_misses_are_drawn_among_all_that_look_alike_and_not_the_likest() -> None:
    rows = [
        *[" tree" * 64] * 20,
        *[" dog" * 64] * 45,
        *[" cat" * 64] * 15,
        *[" red" * 64] * 20,
        *[" one" * 64] * 40,
    ]
    exam = taught(rows, [1.0] * 20, dog=0.1, cat=1.0, red=0.09)
    drawn: Counter[int] = Counter()
    for seed in range(60):
        near = [t for t in fire_or_not(reseeded(exam, seed), 5) if t.kind == "near_miss"]
        # 20 passages fire, so that 10 of the silent ones are near misses.
        windows = {place(text)[0] for text in near}
        assert len(windows) == len(near) == 10
        drawn.update(windows)
    # Red has less than a tenth of the largest mean: it does not look alike.
    assert set(drawn) == set(range(20, 80))
    assert sum(drawn[window] for window in range(65, 80)) / 600 == pytest.approx(0.25, abs=0.06)


def test_a_near_miss_is_drawn_for_any_of_its_tokens_that_look_alike() -> None:
    exam = taught(
        [" tree" * 64] * 20 + [" red cat dog dog" * 16] * 40, [1.0] * 20, cat=3.0, dog=0.4
    )
    silent = silence(exam.held_out, 32)
    surfaces = [token for window in exam.held_out.text.tokens for token in window]
    found = Counter(
        surfaces[miss.token]
        for seed in range(20)
        for miss in near_misses(exam, silent, np.random.default_rng(seed))
    )
    assert set(found) == {" cat", " dog"}
    assert found[" cat"] / found.total() == pytest.approx(1 / 3, abs=0.06)


def test_where_nothing_looks_alike_all_that_ever_fired_does() -> None:
    rows = [*[" cat" * 64] * 20, *[" red" * 64] * 15, *[" one" * 64] * 40]
    exam = taught(rows, [1.0] * 20, red=0.01, blue=1.0)
    near = {place(text)[0] for text in fire_or_not(exam, 5) if text.kind == "near_miss"}
    assert len(near) == 10
    assert near <= set(range(20, 35))


def test_a_passage_fires_from_a_tenth_of_the_scale_and_is_silent_without_any_activation() -> None:
    strengths = [10.0] * 12 + [1.0] * 8 + [0.99] * 30
    exam = taught([" tree two" * 32] * 120, strengths, two=1.0)
    assert exam.scale == 10.0
    texts = fire_or_not(exam, 5)
    firing = sorted(place(text)[0] for text in texts if text.kind == "firing")
    assert firing == list(range(20))
    assert all(text.passage.activations.max() >= 1.0 for text in texts if text.kind == "firing")
    assert not any(fires(text.passage) for text in texts if text.kind != "firing")
    counts = Counter(text.kind == "firing" for text in texts)
    assert counts == {True: 20, False: 20}
    # Two of each tenth of these twenty, not of the fifty that fire at all.
    ranks = [place(text)[0] for text in fire_or_not(exam, 1) if text.kind == "firing"]
    assert sorted(rank // 2 for rank in ranks) == list(range(10))


def test_the_right_rule_is_right_everywhere_although_other_tokens_fire_weakly() -> None:
    noisy = Planted(
        "cats, and a little on all nouns",
        lambda tokens: [{"cat": 10.0, "dog": 0.6, "tree": 0.3}.get(t.strip(), 0.0) for t in tokens],
    )
    random = np.random.default_rng(0)
    words = np.array([" one", " two", " red", " blue", " green"])
    nouns = [" cat", " dog", " tree", " one"]
    rows = ["".join([*random.choice(words, 30), nouns[n % 4]]) for n in range(240)]
    exam = exam_on(noisy, rows, window_size=32)
    assert len(exam.held_out.firing) == 180
    for scorer in BOTH:
        found = scorer.score(exam, candidate(CATS), RuleJudge())
        assert [score.value for score in found] == [1.0, 1.0]


def test_with_weak_noise_alone_there_is_nothing_to_tell_apart() -> None:
    exam = taught([" tree two" * 32] * 60, [10.0] * 4 + [0.5] * 40)
    exam = replace(exam, scale=10.0)
    with pytest.raises(Unscorable, match="fires in 4 held-out windows at 0.1 of its scale"):
        fire_or_not(exam, 5)


def test_a_feature_that_fires_in_every_window_is_told_from_silent_stretches() -> None:
    exam = taught([" tree two" * 32] * 120, [1.0] * 120, two=1.0)
    assert len(exam.held_out.silent) == 0
    texts = fire_or_not(exam, 5)
    kinds = Counter(text.kind for text in texts)
    assert kinds == {"firing": 50, "near_miss": 25, "random": 25}
    assert all(not fires(text.passage) for text in texts if text.kind != "firing")


def test_silent_windows_come_before_silent_stretches_of_others() -> None:
    exam = taught([" tree two" * 32] * 30, [1.0] * 10)
    texts = fire_or_not(exam, 5)
    assert {place(text)[0] for text in texts if text.kind == "random"} <= set(range(10, 30))


def test_a_feature_that_is_never_silent_has_no_score() -> None:
    dense = Planted("dense", lambda tokens: [0.5] * len(tokens))
    for scorer in BOTH:
        with pytest.raises(Unscorable, match="has 0 silent stretches"):
            scorer.score(exam_on(dense, CORPUS), candidate(CATS), RuleJudge())


def test_silence_ends_at_borders_and_where_the_feature_fires() -> None:
    exam = exam_on(CAT, [" one two red", " one cat red blue", " dog dog"])
    found = silence(exam.held_out, 2)
    assert found.begins.tolist() == [0, 5, 7]
    assert found.ends.tolist() == [3, 7, 9]
    assert found.whole.tolist() == [True, False, True]
    assert silence(exam.held_out, 3).begins.tolist() == [0, 7]


def test_what_is_taken_from_silence_is_not_drawn_again() -> None:
    exam = exam_on(CAT, [" one two red", " one cat red blue", " dog dog dog dog"])
    found, random = silence(exam.held_out, 1), np.random.default_rng(0)
    drawn: list[tuple[int, int]] = []
    while (stretch := found.drawn(2, random)) is not None:
        drawn.append((stretch.begin, stretch.end))
        found = found.without(stretch)
    tokens = [token for begin, end in drawn for token in range(begin, end)]
    assert len(set(tokens)) == len(tokens)
    # The window that fires comes last; a draw in the middle of the last window leaves no room.
    assert drawn[-1] == (5, 7)
    assert len(drawn) in (3, 4)


def test_every_place_of_silence_is_drawn_as_often() -> None:
    exam = exam_on(CAT, [" one two red", " one cat red blue", " dog dog dog dog"])
    found, random = silence(exam.held_out, 1), np.random.default_rng(0)
    draws = Counter(found.drawn(2, random) for _ in range(2000))
    assert {stretch.begin for stretch in draws if stretch} == {0, 1, 7, 8, 9}
    assert all(300 < count < 500 for count in draws.values())
    assert found.drawn(5, random) is None


def test_a_judge_whose_answers_cost_is_asked_about_twenty_and_twenty() -> None:
    exam = long_windows(CAT)
    judge = RuleJudge(asks=True)
    DETECTION.score(exam, candidate(CATS), judge)
    FUZZING.score(exam, candidate(CATS), judge)
    for asked in judge.asked:
        passages = [item.passage if isinstance(item, Marked) else item for item in asked]
        assert Counter(fires(passage) for passage in passages) == {True: 20, False: 20}


def test_length_does_not_tell() -> None:
    random = np.random.default_rng(0)
    words = [" cat", *([" dog", " tree", " one", " two", " red"] * 4)]
    rows = ["".join(random.choice(words, size=int(random.integers(2, 60)))) for _ in range(300)]
    texts = fire_or_not(exam_on(on_tokens("cat", "cat"), rows, window_size=64), 5)
    lengths = {
        firing: sorted(len(t.passage.tokens) for t in texts if fires(t.passage) == firing)
        for firing in (True, False)
    }
    assert lengths[True] == lengths[False]
    assert min(lengths[True]) < 20
    assert max(lengths[True]) == 32


# Nothing but the text tells


def offsets(texts: Sequence[DrawnText]) -> list[int]:
    return [int(np.argmax(text.passage.activations)) for text in texts if fires(text.passage)]


def test_the_maximum_stands_anywhere_in_a_passage() -> None:
    exam = long_windows(CAT)
    found = [
        offset for seed in range(12) for offset in offsets(fire_or_not(reseeded(exam, seed), 5))
    ]
    thirds = np.histogram(found, bins=[0, 11, 21, 32])[0] / len(found)
    assert len(set(found)) == 32
    assert all(0.25 < share < 0.42 for share in thirds)


def test_order_does_not_tell() -> None:
    texts = fire_or_not(long_windows(CAT), 5)
    firing = np.array([fires(text.passage) for text in texts])
    half = len(firing) // 2
    assert 0.3 < firing[:half].mean() < 0.7


def test_neither_place_nor_number_of_marks_tells() -> None:
    """In the published code every negative of a feature has its marks at the same places."""
    places: dict[bool, list[int]] = {True: [], False: []}
    numbers: dict[bool, list[int]] = {True: [], False: []}
    animals = long_windows(on_tokens("animals", "cat", "dog", "tree"))
    for seed in range(12):
        exam = reseeded(animals, seed)
        items = marked(exam, fire_or_not(exam, 5))
        silent = {item.marks for item in items if not fires(item.passage)}
        assert len(silent) > 30
        for item in items:
            places[fires(item.passage)] += item.marks
            numbers[fires(item.passage)].append(len(item.marks))
    assert np.mean(places[True]) == pytest.approx(np.mean(places[False]), abs=1.5)
    assert np.std(places[True]) == pytest.approx(np.std(places[False]), abs=1.0)
    shares = {
        fired: np.bincount(found, minlength=8)[:8] / len(found) for fired, found in numbers.items()
    }
    assert np.allclose(shares[True], shares[False], atol=0.06)


# Marks


def test_marks_stand_on_what_fires_at_least_three_tenths_of_the_maximum() -> None:
    planted = Planted(
        "graded",
        lambda tokens: [{" cat": 10.0, " dog": 3.0, " tree": 2.9}.get(t, 0.0) for t in tokens],
    )
    exam = exam_on(planted, ["one tree dog red cat blue", *CORPUS])
    for item in marked(exam, fire_or_not(exam, 5)):
        if fires(item.passage):
            values = item.passage.activations
            assert item.marks == tuple(np.flatnonzero(values >= 0.3 * values.max()))
        else:
            assert len(item.marks) > 0
        assert list(item.marks) == sorted(set(item.marks))
        assert all(0 <= mark < len(item.passage.scored) for mark in item.marks)


def test_near_misses_are_marked_where_they_look_alike_and_others_anywhere() -> None:
    rows = [
        *[" tree" * 64] * 20,
        *[" red cat red red red red red red" * 8] * 10,
        *[" one" * 64] * 40,
    ]
    exam = taught(rows, [1.0] * 20, cat=2.0)
    texts = fire_or_not(exam, 5)
    kinds = {text.passage.id: text.kind for text in texts}
    others: set[int] = set()
    for item in marked(exam, texts):
        kind = kinds[item.passage.id]
        assert len(item.marks) == 1
        if kind == "near_miss":
            assert item.passage.tokens[item.marks[0]] == " cat"
        elif kind == "random":
            others.update(item.marks)
    assert len(others) > 5


def test_marks_of_near_misses_stand_on_any_token_that_looks_alike_before_others() -> None:
    rows = [
        *[" tree" * 64] * 20,
        *[" one cat dog blue red two green one" * 8] * 10,
        *[" one" * 64] * 40,
    ]
    exam = taught(rows, [1.0] * 20, cat=2.0, dog=0.2, blue=0.1)
    flat = exam.held_out.activations.copy()
    # Passages that fire have between one and twelve marks.
    for window in range(20):
        start = int(exam.held_out.text.starts[window])
        flat[start + 40 : start + 41 + window * 12 // 20] = 1.0
    exam = replace(exam, held_out=replace(exam.held_out, activations=flat))
    texts = fire_or_not(exam, 5)
    kinds = {text.passage.id: text.kind for text in texts}
    few: Counter[str] = Counter()
    for item in marked(exam, texts):
        if kinds[item.passage.id] != "near_miss":
            continue
        tokens = [item.passage.tokens[mark] for mark in item.marks]
        if len(tokens) <= 8:
            assert set(tokens) <= {" cat", " dog"}
            few.update(tokens)
        else:
            assert {" cat", " dog"} < set(tokens) <= {" cat", " dog", " blue"}
    assert few[" cat"] > 0
    assert few[" dog"] > 0


# Scores


def test_the_scores_by_hand() -> None:
    exam = alike()
    texts = fire_or_not(exam, 5)
    missed = {text.passage.id for text in texts if text.kind == "firing"} - {
        text.passage.id for text in [t for t in texts if t.kind == "firing"][:40]
    }
    fooled = {text.passage.id for text in texts if text.kind == "near_miss"}

    def says(passage: Passage) -> float:
        if passage.id in fooled:
            return 0.9
        return 0.25 if passage.id in missed or not fires(passage) else 0.9

    judge = TellingJudge(scores=says, marked=lambda item: says(item.passage))
    for scorer, names in ((DETECTION, "detection"), (FUZZING, "fuzzing")):
        decided, ranked = scorer.score(exam, candidate(), judge)
        assert (decided.metric, ranked.metric) == (names, f"{names}_auc")
        assert decided.value == pytest.approx((40 / 50 + 25 / 50) / 2)
        # 40 win over 25 and tie with 25; 10 tie with 25 and lose to 25.
        assert ranked.value == pytest.approx((40 * (25 + 12.5) + 10 * 12.5) / 2500)
        right = decided.details["right_by_kind"]
        assert right == {"firing": 0.8, "near_miss": 0.0, "random": 1.0}
        assert (decided.n, ranked.n, decided.spent) == (100, 100, judge.spent)
        assert decided.low is not None
        assert decided.high is not None
        assert decided.low < decided.value < decided.high


@pytest.mark.parametrize("says", [0.0, 0.5, 1.0])
def test_a_judge_that_reads_no_explanation_gets_what_is_said_to_be_trivial(says: float) -> None:
    judge = TellingJudge(scores=lambda passage: says, marked=lambda item: says)
    for scorer in BOTH:
        for found in scorer.score(long_windows(CAT), candidate(), judge):
            assert found.value == 0.5
            assert (found.trivial.always, found.trivial.never, found.trivial.prior) == (0.5,) * 3


@pytest.mark.parametrize("scorer", BOTH)
def test_the_right_rule_beats_a_wide_one_and_a_wrong_one(scorer: Scorer) -> None:
    exam = long_windows(CAT)
    right, wide, wrong = (
        [score.value for score in scorer.score(exam, candidate(each), RuleJudge())]
        for each in (CATS, rule(InClass("word")), rule(TokenIn((" return",))))
    )
    assert right == [1.0, 1.0]
    assert [value or 0 for value in wide] == pytest.approx([0.5, 0.5], abs=0.2)
    assert [value or 0 for value in wrong] == pytest.approx([0.5, 0.5], abs=0.2)


def test_details_are_json_with_truth_decision_and_score() -> None:
    exam = long_windows(CAT)
    [found, _] = DETECTION.score(exam, candidate(CATS), RuleJudge())
    rows = json.loads(json.dumps(dict(found.details)))["texts"]
    assert {row["id"]: row["fires"] for row in rows} == {
        text.passage.id: fires(text.passage) for text in fire_or_not(exam, 5)
    }
    assert all(row["said"] == (row["score"] >= 0.1) == row["fires"] for row in rows)


def test_texts_without_an_answer_are_left_out_and_counted() -> None:
    exam = alike()
    texts = fire_or_not(exam, 5)
    lost = {text.passage.id for text in texts[:30]}
    judge = TellingJudge(scores=lambda p: None if p.id in lost else float(fires(p)))
    for found in DETECTION.score(exam, candidate(), judge):
        assert (found.value, found.n, found.parse_failures) == (1.0, 70, 0.3)
    most = {text.passage.id for text in texts[:51]}
    judge = TellingJudge(scores=lambda p: None if p.id in most else float(fires(p)))
    for found in DETECTION.score(exam, candidate(), judge):
        assert (found.value, found.parse_failures, found.spent) == (None, 0.51, judge.spent)
        assert "51 of 100 answers" in found.reason


def test_answers_of_one_class_alone_have_no_score() -> None:
    exam = long_windows(CAT)
    judge = TellingJudge(scores=lambda passage: 1.0 if fires(passage) else None)
    for found in DETECTION.score(exam, candidate(), judge):
        assert found.value is None
        assert "only for passages that fire" in found.reason


def test_after_lost_answers_there_is_no_score_however_few_they_are() -> None:
    """An explanation would be scored on other texts than its rivals because a server failed."""
    exam = alike()
    [first, *_] = fire_or_not(exam, 5)
    judge = TellingJudge(
        scores=lambda p: None if p.id == first.passage.id else float(fires(p)),
        marked=lambda item: None if item.passage.id == first.passage.id else 1.0,
        lost=1,
    )
    for scorer in BOTH:
        for found in scorer.score(exam, candidate(), judge):
            assert (found.value, found.low, found.floor, found.again) == (None, None, None, True)
            assert "1 of 100 answers of the judge were lost" in found.reason
            assert "cut off" in found.reason
            assert (found.parse_failures, found.spent) == (0.01, judge.spent)
    judge.lost = 0
    assert not any(found.again for found in DETECTION.score(exam, candidate(), judge))


def test_when_most_answers_are_lost_it_is_tried_again_and_when_most_are_bad_it_is_not() -> None:
    judge = TellingJudge(lost=60)
    for found in DETECTION.score(alike(), candidate(), judge):
        assert (found.value, found.again) == (None, True)
        assert "60 of 100 answers of the judge were lost" in found.reason
    judge.lost = 0
    for found in DETECTION.score(alike(), candidate(), judge):
        assert (found.value, found.again) == (None, False)


# Rare features, short texts, seeds


@pytest.mark.parametrize("n_firing", [0, 1, 3])
def test_a_rare_feature_has_no_score_and_a_reason(n_firing: int) -> None:
    for scorer in BOTH:
        with pytest.raises(Unscorable, match=f"fires in {n_firing} held-out windows"):
            scorer.score(rare_exam(n_firing), candidate(CATS), RuleJudge())


def test_seven_windows_are_enough() -> None:
    exam = rare_exam(7, n_silent=4)
    texts = fire_or_not(exam, 5)
    assert Counter(fires(text.passage) for text in texts) == {True: 7, False: 7}
    for scorer in BOTH:
        assert [score.value for score in scorer.score(exam, candidate(CATS), RuleJudge())] == [1, 1]


def test_windows_of_any_length_have_scores_or_reasons() -> None:
    random = np.random.default_rng(1)
    scored = 0
    for seed in range(60):
        words = random.choice(
            [" cat", " dog", " tree", " red"], size=(int(random.integers(1, 60)), 20)
        )
        texts = ["".join(row[: int(random.integers(1, 20))]) for row in words]
        exam = exam_on(on_tokens("cat", "cat"), texts, seed=seed)
        for scorer in BOTH:
            try:
                found = scorer.score(exam, candidate(CATS), RuleJudge())
            except Unscorable:
                continue
            scored += 1
            assert all((score.value is None) == bool(score.reason) for score in found)
    assert scored > 25


def test_equal_seeds_give_equal_scores_and_another_seed_other_texts() -> None:
    for scorer in BOTH:
        one, again, other = (
            list(scorer.score(long_windows(CAT, seed=seed), candidate(CATS), RuleJudge()))
            for seed in (4, 4, 5)
        )
        assert one == again
        assert one[0].details != other[0].details


def test_all_explanations_and_both_scorers_meet_the_same_passages() -> None:
    exam = long_windows(CAT)
    judge = RuleJudge()
    for predictor in (CATS, rule(InClass("word"))):
        for scorer in BOTH:
            scorer.score(exam, candidate(predictor), judge)
    asked = [
        [item.passage if isinstance(item, Marked) else item for item in items]
        for items in judge.asked
    ]
    assert all(passages == asked[0] for passages in asked)
