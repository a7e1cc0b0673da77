"""FADE by hand, its fault and what is done about it, and which passages are rated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import pytest

from evaluation.candidate import Candidate
from evaluation.exam import Exam
from evaluation.held_out import Passage, SplitText
from evaluation.judges.judge import Answers
from evaluation.judges.rule import RuleJudge
from evaluation.scorers.fade import FADE, _absolute, _by_chance, _precision_by_chance
from evaluation.scorers.written import strongest_of
from evaluation.scores import Score
from evaluation.statistics import auroc, average_precision
from tests import exams
from tests.fakes import FakeSubject, Planted, fake_corpus
from tools.errors import Unscorable
from tools.llm.costs import Spent
from tools.rules import Branch, Rule, TokenIn

CATS = Planted("cat", lambda tokens: [8.0 * (token.strip() == "cat") for token in tokens])
NO_CATS = Planted("no cat", lambda tokens: [4.0 * ("cat" not in "".join(tokens))] * len(tokens))
FILLER = "the of to is it that on by at one two three red green blue run"
LONG = ("a cat " + " ".join([*FILLER.split(), *FILLER.split()][:30]), f"{FILLER} {FILLER}")
"""As long as a window: one that fires, one that does not."""


@dataclass
class Rater(exams.RuleJudge):
    """Rates and writes as it was told to."""

    ratings: Mapping[str, int | None] = field(default_factory=dict[str, int | None])
    texts: Sequence[str] = LONG * 5
    asks: bool = False
    lost: int = 0
    shown: list[Passage] = field(default_factory=list[Passage])

    def rate(self, candidate: Candidate, passages: Sequence[Passage]) -> Answers[int]:
        self.shown += passages
        values = tuple(self.ratings.get(passage.id, 0) for passage in passages)
        failures = ("it was tired",) if None in values else ()
        return Answers(values, failures, lost=self.lost, spent=Spent(calls=2))

    def write(
        self, candidate: Candidate, count: int, material: SplitText, seed: int, *, fires: bool
    ) -> Answers[str]:
        return Answers(tuple(self.texts), spent=Spent(calls=1))


def exam_with(strongest: Sequence[float], planted: Planted = CATS) -> Exam:
    """One window of 32 tokens for each number, its largest activation."""
    subject = FakeSubject((planted,), window_size=32)
    ids = tuple(subject.tokenize(" ".join([*FILLER.split(), *FILLER.split()])))
    assert len(ids) == 32
    activations = [np.eye(1, 32, 7, dtype=np.float32)[0] * np.float32(s) for s in strongest]
    return replace(exams.exam_of(subject, [ids] * len(strongest), activations), scale=8.0)


def scores(exam: Exam, judge: Rater) -> dict[str, Score]:
    found = FADE.score(exam, exams.candidate(), judge)
    assert tuple(score.metric for score in found) == FADE.metrics
    return {score.metric: score for score in found}


def values(found: Mapping[str, Score]) -> list[float | None]:
    return [found[metric].value for metric in FADE.metrics]


RATINGS = {"w0@0": 2, "w1@0": 0, "w2@0": 2, "w3@0": 1, "w4@0": 0, "w5@0": None}


def test_each_figure_by_hand() -> None:
    found = scores(exam_with([8, 6, 4, 2, 0, 0]), Rater(ratings=RATINGS))
    # Five texts of 8 and five of 0 against 8 6 4 2 0 0; a tie counts half.
    clarity = 2 * (5 * 5.5 + 5 * 1) / 60 - 1
    # Rated 2: 8 and 4; rated 0: 6 and 0; the first wins twice, the second once.
    responsiveness = 2 * 3 / 4 - 1
    # 8 is right, 6 is wrong, 4 is right at two of three.
    purity = (1 + 2 / 3) / 2
    expected = [clarity, responsiveness, purity, clarity, responsiveness]
    assert values(found) == pytest.approx(expected)
    assert [found[metric].n for metric in FADE.metrics] == [16, 4, 4, 16, 4]
    # Of the six orders of two right and two wrong ones, by chance.
    orders = [(1 / first + 2 / second) / 2 for first, second in combinations(range(1, 5), 2)]
    assert found["fade_purity"].trivial.prior == pytest.approx(np.mean(orders))
    assert found["fade_clarity_signed"].trivial.prior == 0.0
    assert found["fade_clarity"].trivial.always is None
    assert found["fade_responsiveness"].parse_failures == pytest.approx(1 / 6)
    assert found["fade_clarity"].parse_failures == 0
    assert (found["fade_clarity"].spent.calls, found["fade_purity"].spent.calls) == (1, 2)
    rated = found["fade_purity"].details["rated"]
    assert rated == {
        "0": {"n": 2, "mean": 0.375},
        "1": {"n": 1, "mean": 0.25},
        "2": {"n": 2, "mean": 0.75},
    }


def test_what_silences_the_feature_scores_as_published_and_is_found_out_by_the_sign() -> None:
    exam = exam_with([4, 4, 4, 0, 0, 4], NO_CATS)
    judge = Rater(ratings={"w3@0": 2, "w4@0": 2}, texts=[LONG[0]] * 10)
    found = scores(exam, judge)
    clarity, responsiveness = found["fade_clarity"].value, found["fade_responsiveness"].value
    assert clarity == pytest.approx(4 / 6)
    assert responsiveness == 1.0
    assert found["fade_clarity_signed"].value == pytest.approx(-4 / 6)
    assert found["fade_responsiveness_signed"].value == -1.0
    everywhere = scores(exam_with([4] * 6, NO_CATS), judge)
    assert everywhere["fade_clarity"].value == 1.0
    assert everywhere["fade_clarity_signed"].value == -1.0
    low, high = everywhere["fade_clarity_signed"].low, everywhere["fade_clarity_signed"].high
    assert (low, high) == (-1.0, -1.0)


@pytest.mark.parametrize(
    ("ratings", "reason"),
    [
        ({}, "none of 4 natural passages is rated 2"),
        (dict.fromkeys(["w0@0", "w1@0", "w2@0", "w3@0"], 2), "4 natural passages is rated 0"),
        (dict.fromkeys(["w0@0", "w1@0", "w2@0", "w3@0"], 1), "is rated 0 or 2"),
        (dict.fromkeys(["w0@0", "w1@0", "w2@0"]), "3 of 4 answers of the judge cannot be used"),
    ],
)
def test_ratings_of_one_kind_give_null_with_the_reason(
    ratings: Mapping[str, int | None], reason: str
) -> None:
    found = scores(exam_with([8, 4, 2, 0]), Rater(ratings=ratings))
    for metric in ("fade_responsiveness", "fade_purity", "fade_responsiveness_signed"):
        assert found[metric].value is None
        assert reason in found[metric].reason
        assert not found[metric].again
    assert found["fade_clarity"].value is not None


@pytest.mark.parametrize(("asks", "floor"), [(False, 0.0), (True, None)])
@pytest.mark.parametrize("rating", [0, 1, 2])
def test_what_can_be_executed_is_at_fault_if_it_tells_no_passages_apart(
    rating: int, asks: bool, floor: float | None
) -> None:
    ratings = dict.fromkeys(["w0@0", "w1@0", "w2@0", "w3@0"], rating)
    judge = Rater(ratings=ratings, texts=[LONG[0]] * 4, asks=asks)
    found = scores(exam_with([8, 4, 2, 0]), judge)
    assert values(found) == [None] * 5
    assert [found[metric].floor for metric in FADE.metrics] == [floor, floor, None, floor, floor]


def test_lost_ratings_leave_no_score_but_another_try() -> None:
    found = scores(exam_with([8, 6, 4, 2, 0, 0]), Rater(ratings=RATINGS, asks=True, lost=1))
    for metric in ("fade_responsiveness", "fade_purity", "fade_responsiveness_signed"):
        assert (found[metric].value, found[metric].floor, found[metric].again) == (None, None, True)
    assert found["fade_clarity"].value is not None


def test_written_texts_are_compared_with_natural_ones_of_their_length() -> None:
    # Every window of 32 tokens fires, on one of its eight pieces of four tokens.
    exam = exam_with([8] * 12)
    silent = scores(exam, Rater(texts=["one two three red"] * 10))["fade_clarity_signed"]
    assert silent.value == pytest.approx(-1 / 8)
    assert silent.n == 10 + 12 * 8
    one_in_eight = replace(exam, _memo={})
    found = scores(one_in_eight, Rater(texts=["cat two three red", *["one two three red"] * 7]))
    assert found["fade_clarity_signed"].value == pytest.approx(0)
    # 3 and 5 tokens are 4 on average.
    mixed = replace(exam, _memo={})
    found = scores(mixed, Rater(texts=["one two three", "one two three red blue"] * 5))
    assert found["fade_clarity_signed"].n == 10 + 12 * 8


def test_too_few_written_texts_leave_the_ratings_alone() -> None:
    found = scores(exam_with([8, 6, 4, 2, 0, 0]), Rater(ratings=RATINGS, texts=["a cat"] * 4))
    assert found["fade_clarity"].value is None
    assert "4 usable texts" in found["fade_clarity_signed"].reason
    assert found["fade_purity"].value is not None


@pytest.mark.parametrize(("asks", "n_rated", "n_top"), [(False, 500, 50), (True, 100, 10)])
def test_a_tenth_of_the_rated_passages_is_from_the_top(
    asks: bool, n_rated: int, n_top: int
) -> None:
    exam = exam_with(np.random.default_rng(0).permutation(600).tolist())
    judge = Rater(asks=asks)
    scores(exam, judge)
    shown = [float(passage.activations.max()) for passage in judge.shown]
    assert len(shown) == len(set(shown)) == n_rated
    assert set(range(600 - n_top, 600)) <= set(shown)
    # The others are drawn without regard to their activation.
    others = [value for value in shown if value < 600 - n_top]
    assert np.mean(others) == pytest.approx((600 - n_top) / 2, rel=0.15)
    assert shown != sorted(shown, reverse=True)
    again = Rater(asks=asks)
    scores(exam, again)
    assert [p.id for p in again.shown] == [p.id for p in judge.shown]


def test_passages_have_32_tokens_and_the_context_that_was_measured_with_them() -> None:
    exam = exams.exam_on(CATS, [FILLER.replace("the", "cat") * 8, "a cat"], window_size=80)
    judge = Rater()
    scores(exam, judge)
    spans = {passage.id: (passage.start, len(passage.scored)) for passage in judge.shown}
    windows = [len(tokens) for tokens in exam.held_out.text.tokens]
    assert windows[0] == 80
    assert spans["w0@0"] == (0, 32)
    assert spans["w0@32"] == (32, 32)
    assert "w0@64" not in spans
    assert spans[f"w{len(windows) - 1}@0"] == (0, 2)
    for passage in judge.shown:
        window, begin = map(int, passage.id[1:].split("@"))
        here = exam.held_out.window(window)[begin : begin + len(passage.scored)]
        assert passage.activations.tolist() == here.tolist()


def test_the_strongest_activation_keeps_its_sign() -> None:
    assert strongest_of(np.array([1, -5, 3], np.float32)) == -5
    assert strongest_of(np.array([0, 2, 0], np.float32)) == 2
    found = scores(exam_with([-8, -6, 4, 2, 0, 0]), Rater(ratings=RATINGS))
    # Rated 2: -8 and 4; rated 0: -6 and 0.
    assert found["fade_responsiveness_signed"].value == pytest.approx(2 * 2 / 4 - 1)


def rule_candidate(*words: str) -> Candidate:
    rule = Rule((Branch(TokenIn(words, folded=True), 1.0),))
    return Candidate("agentic", 0, "Fires.", rule, rule.to_json())


def test_the_true_rule_scores_one_and_another_about_zero() -> None:
    exam = exams.exam_on(CATS, fake_corpus(), seed=1)
    judge = RuleJudge(exam.subject)
    right = {s.metric: s.value for s in FADE.score(exam, rule_candidate("cat"), judge)}
    wrong = {s.metric: s.value for s in FADE.score(exam, rule_candidate("red", "think"), judge)}
    assert right["fade_responsiveness_signed"] == right["fade_purity"] == 1.0
    # Many natural passages hold the word too, and tie with the texts.
    assert right["fade_clarity_signed"] is not None
    assert right["fade_clarity_signed"] > 0.4
    for metric in ("fade_clarity_signed", "fade_responsiveness_signed"):
        other = wrong[metric]
        assert other is not None
        assert -0.25 < other < 0.25
    again = exams.exam_on(CATS, fake_corpus(), seed=1)
    first = FADE.score(exam, rule_candidate("cat"), judge)
    assert FADE.score(again, rule_candidate("cat"), RuleJudge(again.subject)) == first


@pytest.mark.parametrize("n_firing", [1, 3])
def test_rare_features_crash_nothing(n_firing: int) -> None:
    rare = exams.rare_exam(n_firing)
    found = FADE.score(rare, rule_candidate("cat"), RuleJudge(rare.subject))
    assert all(score.value is not None for score in found)
    never = FADE.score(rare, rule_candidate("zebra"), RuleJudge(rare.subject))
    assert all(score.value is None and score.reason for score in never)
    assert [score.floor for score in never] == [0.0, 0.0, None, 0.0, 0.0]


def test_a_feature_without_a_scale_has_no_score() -> None:
    silent = exams.rare_exam(0)
    with pytest.raises(Unscorable, match="never fires"):
        FADE.score(silent, rule_candidate("cat"), RuleJudge(silent.subject))


def test_an_absolute_value_is_above_0_by_chance() -> None:
    random = np.random.default_rng(0)
    values = np.maximum(0, random.normal(size=60)).round(1)
    told = np.arange(60) < 10
    once = np.ones((1, 60))
    drawn = [abs(2 * auroc(values, random.permutation(told))(once)[0] - 1) for _ in range(2000)]
    assert _by_chance(values, told) == pytest.approx(np.mean(drawn), rel=0.05)


@pytest.mark.parametrize("positive", [1, 3, 59])
def test_precision_by_chance_is_above_the_share_of_positives(positive: int) -> None:
    random = np.random.default_rng(0)
    values = np.maximum(0, random.normal(size=60)).round(1)
    told = np.arange(60) < positive
    once = np.ones((1, 60))
    drawn = [average_precision(values, random.permutation(told))(once)[0] for _ in range(4000)]
    assert _precision_by_chance(values, told) == pytest.approx(np.mean(drawn), rel=0.06)
    assert _precision_by_chance(values, told) > positive / 60
    assert _precision_by_chance(np.zeros(60), told) == pytest.approx(positive / 60)


def test_the_interval_of_an_absolute_value_holds_it() -> None:
    straddling = Score("signed", -0.02, low=-0.3, high=0.2)
    folded = _absolute(straddling, "absolute", 0.1)
    assert (folded.value, folded.low, folded.high) == (0.02, 0.0, 0.3)
    below = _absolute(Score("signed", -0.5, low=-0.7, high=-0.2), "absolute", 0.1)
    assert (below.value, below.low, below.high) == (0.5, 0.2, 0.7)
    assert _absolute(Score("signed", None, "why"), "absolute", 0.1).reason == "why"
