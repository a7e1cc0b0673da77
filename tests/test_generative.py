"""Scores of written texts: generative accuracy, its negatives, the input metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from evaluation.candidate import Candidate
from evaluation.exam import Exam
from evaluation.held_out import SplitText
from evaluation.judges.judge import Answers
from evaluation.judges.rule import RuleJudge
from evaluation.scorers.generative import GENERATIVE
from evaluation.scorers.input_metric import INPUT_METRIC
from evaluation.scorers.scorer import Scorer
from evaluation.scorers.written import written
from evaluation.scores import Score
from tests import exams
from tests.fakes import DEFAULT_FEATURES, FakeSubject, Planted, fake_corpus, on_tokens
from tools.activations import TextActivations
from tools.errors import ActivationNotFinite, Unscorable
from tools.llm.costs import Spent
from tools.rules import Branch, InClass, Rule, TokenIn

LOUD = {"cat": 8.0, "dog": 4.0, "tree": 3.9, "house": 0.5}
"""The scale is 8: half of it, 4, is a success."""


def loudness(tokens: Sequence[str]) -> list[float]:
    return [LOUD.get(token.strip(), 0.0) for token in tokens]


ANIMALS = Planted("animals", loudness)


class Overflowing(FakeSubject):
    """Gives no number on texts that hold `raise`, which spoils the batch."""

    def activations(self, texts: Sequence[str], features: Sequence[int]) -> list[TextActivations]:
        if any("raise" in text for text in texts):
            raise ActivationNotFinite("feature 0 is NaN on a text", 0)
        return super().activations(texts, features)


FIRING = ("a cat", "one dog", "the cat and the dog", "a tree", "red", "blue cat", "cat cat")
SILENT = ("a house", "red", "one tree", "the dog", "green", "blue", "think")


@dataclass
class Writer(exams.RuleJudge):
    """Writes what it was told to, None where there is nothing more."""

    firing: Sequence[str] = FIRING
    silent: Sequence[str] = SILENT
    asks: bool = False
    lost: int = 0
    calls: int = 0

    def write(
        self, candidate: Candidate, count: int, material: SplitText, seed: int, *, fires: bool
    ) -> Answers[str]:
        self.calls += 1
        texts = list(self.firing if fires else self.silent)
        values = (*texts, *[None] * (count - len(texts)))
        spent = Spent(calls=1, tokens_in=10, tokens_out=5, cost=0.5)
        failures = ("it had no more ideas",) if None in values else ()
        lost = 0 if fires else self.lost
        return Answers(values, failures, lost=lost, spent=spent)


def exam(texts: Sequence[str] = ("a cat and one dog", "the tree"), seed: int = 0) -> Exam:
    return replace(exams.exam_on(ANIMALS, texts, seed=seed), scale=8.0)


def scores(scorer: Scorer, exam: Exam, judge: Writer, told: str = "Animals.") -> dict[str, Score]:
    found = scorer.score(exam, exams.candidate(description=told), judge)
    assert tuple(score.metric for score in found) == scorer.metrics
    return {score.metric: score for score in found}


# Generative accuracy


def test_each_share_is_of_texts_that_reach_half_the_scale() -> None:
    found = scores(GENERATIVE, exam(), Writer())
    generative, negatives = found["generative"], found["generative_negatives"]
    assert generative.value == pytest.approx(5 / 7)
    assert negatives.value == pytest.approx(1 / 7)
    assert (generative.n, negatives.n) == (7, 7)
    assert generative.parse_failures == pytest.approx(0.3)
    assert generative.low is not None
    assert generative.low < 5 / 7
    assert generative.details["texts"][1] == {"text": "one dog", "max": 4.0, "normalized": 0.5}
    assert generative.details["failures"] == ["it had no more ideas"]


def test_the_two_kinds_are_told_apart_by_their_maxima() -> None:
    found = scores(GENERATIVE, exam(), Writer())["generative_auroc"]
    # Firing 8 4 8 3.9 0 8 8 and silent .5 0 3.9 4 0 0 0: pairs won, ties for a half.
    won = 7 + 6.5 + 7 + 5.5 + 2 + 7 + 7
    assert found.value == pytest.approx(won / 49)
    assert found.n == 14
    assert found.trivial.prior == found.trivial.always == 0.5
    assert found.spent == Spent(calls=2, tokens_in=20, tokens_out=10, cost=1.0)
    assert found.details["firing"][:2] == [1.0, 0.5]


def test_five_texts_are_enough_and_four_are_not() -> None:
    found = scores(GENERATIVE, exam(), Writer(firing=FIRING[:5], silent=SILENT[:4]))
    assert found["generative"].value == pytest.approx(3 / 5)
    for metric in ("generative_negatives", "generative_auroc"):
        assert found[metric].value is None
        assert found[metric].reason == (
            "4 usable texts were written, 5 are needed: it had no more ideas"
        )


@pytest.mark.parametrize("bad", ["x" * 40, "", "cat raise"])
def test_a_text_that_the_subject_refuses_counts_as_not_written(bad: str) -> None:
    held = exam()
    raising = replace(held, subject=Overflowing((ANIMALS,)))
    found = scores(GENERATIVE, raising, Writer(firing=(*FIRING[:3], bad, *FIRING[3:])))
    assert found["generative"].value == pytest.approx(5 / 7)
    assert found["generative"].parse_failures == pytest.approx(0.3)
    assert len(found["generative"].details["failures"]) == 2
    assert found["generative_negatives"].value == pytest.approx(1 / 7)


def test_a_feature_that_gives_no_number_on_any_text_has_no_score_and_no_floor() -> None:
    raising = replace(exam(), subject=Overflowing((ANIMALS,)))
    bad = [f"{word} raise" for word in ("cat", "dog", "tree", "red", "blue")]
    found = scores(GENERATIVE, raising, Writer(firing=bad, silent=SILENT))
    generative = found["generative"]
    assert (generative.value, generative.floor, generative.again) == (None, None, False)
    assert "0 usable texts were written, 5 are needed" in generative.reason
    assert found["generative_negatives"].value is not None


@pytest.mark.parametrize("scorer", [GENERATIVE, INPUT_METRIC])
def test_nothing_written_is_null_and_not_zero(scorer: Scorer) -> None:
    for score in scores(scorer, exam(), Writer(firing=(), silent=())).values():
        assert score.value is None
        assert score.parse_failures == 1.0
        assert "0 usable texts" in score.reason


FLOORS = {"generative": 0.0, "generative_negatives": 1.0, "generative_auroc": 0.5}


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize(
    ("writer", "missing"),
    [
        (Writer(firing=FIRING[:4]), {"generative", "generative_auroc", "input_metric"}),
        (Writer(silent=SILENT[:4]), {"generative_negatives", "generative_auroc", "input_metric"}),
    ],
)
def test_only_an_explanation_that_can_be_executed_is_why_no_such_text_exists(
    writer: Writer, missing: set[str], asks: bool
) -> None:
    judge, held = replace(writer, asks=asks), exam()
    found = scores(GENERATIVE, held, judge) | scores(INPUT_METRIC, held, judge)
    assert {metric for metric, score in found.items() if score.value is None} == missing
    for metric, score in found.items():
        expected = None if asks or metric not in missing else FLOORS.get(metric, 0.0)
        assert score.floor == expected
        assert not score.again


def test_lost_texts_leave_no_score_whatever_came_but_another_try() -> None:
    held, judge = exam(), Writer(silent=SILENT, asks=True, lost=1)
    found = scores(GENERATIVE, held, judge) | scores(INPUT_METRIC, held, judge)
    assert found["generative"].value is not None
    assert not found["generative"].again
    for metric in ("generative_negatives", "generative_auroc", "input_metric"):
        score = found[metric]
        assert (score.value, score.floor, score.again) == (None, None, True)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [(["a cat"], 1.0), (["the tree"], 0.0), (["dog one run", "the big tree"], None)],
)
def test_a_judge_that_reads_nothing_gets_what_natural_text_gets(
    texts: list[str], expected: float | None
) -> None:
    judge = Writer(firing=["a cat"] * 10)
    trivial = scores(GENERATIVE, exam(texts * 20), judge)["generative"].trivial
    assert trivial.always == trivial.never == trivial.prior
    assert trivial.prior is not None
    if expected is None:
        # Half of the texts fire, and every other piece of two of their tokens holds the word.
        assert 0.1 < trivial.prior < 0.45
    else:
        assert trivial.prior == expected


def test_natural_pieces_are_as_long_as_the_written_texts() -> None:
    held_out = ["a cat" + " red" * 29] * 20
    short = scores(GENERATIVE, exam(held_out), Writer(firing=["red"] * 10))["generative"].trivial
    long = scores(GENERATIVE, exam(held_out), Writer(firing=["red" + " red" * 30] * 10))
    assert short.prior is not None
    assert short.prior < 0.2
    assert long["generative"].trivial.prior == 1.0


# Sharing


def test_texts_are_written_and_measured_once_for_all_scorers() -> None:
    shared, judge = exam(), Writer()
    subject = shared.subject
    assert isinstance(subject, FakeSubject)
    before = subject.forward_passes
    for scorer in (GENERATIVE, INPUT_METRIC, GENERATIVE):
        scores(scorer, shared, judge)
    assert judge.calls == 2
    assert subject.forward_passes == before + 1
    scores(GENERATIVE, shared, judge, told="Something else.")
    assert judge.calls == 4
    written(shared, exams.candidate(description="Animals."), Writer(name="language_model"))
    assert judge.calls == 4


# The input metric


def test_the_input_metric_compares_means_of_five() -> None:
    found = scores(INPUT_METRIC, exam(), Writer())["input_metric"]
    firing, neutral = (8 + 4 + 8 + 3.9 + 0) / 40, (0.5 + 0 + 3.9 + 4 + 0) / 40
    assert found.value == 1.0
    # Some resamples go the other way: nine texts or so are not enough to be sure.
    assert (found.n, found.low, found.high) == (10, 0.0, 1.0)
    assert found.details["firing"] == pytest.approx(firing)
    assert found.details["neutral"] == pytest.approx(neutral)
    assert found.parse_failures == pytest.approx(0.3)


def test_texts_that_are_always_above_leave_no_doubt() -> None:
    [found] = scores(INPUT_METRIC, exam(), Writer(firing=["cat"] * 5, silent=["red"] * 5)).values()
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("held_out", "length", "expected"),
    [
        # Every piece ties with every other one.
        (["red blue one two"] * 40, 2, 0.0),
        (["cat cat cat cat"] * 40, 2, 0.0),
        # One piece in eight fires: all groups of five but those that tie, half of the time.
        (["cat red", *["red blue"] * 7] * 20, 2, None),
    ],
)
def test_its_chance_is_that_of_five_natural_pieces_against_five_others(
    held_out: list[str], length: int, expected: float | None
) -> None:
    texts = [" ".join(["red"] * length)] * 5
    held = exam(held_out)
    [found] = scores(INPUT_METRIC, held, Writer(firing=texts, silent=texts)).values()
    counts = [math.comb(5, hits) * (1 / 8) ** hits * (7 / 8) ** (5 - hits) for hits in range(6)]
    computed = (1 - sum(count**2 for count in counts)) / 2
    assert found.trivial.prior == pytest.approx(
        computed if expected is None else expected, abs=0.03
    )


def test_its_natural_pieces_are_as_long_as_its_texts() -> None:
    # Every window of 30 tokens fires alike, one piece of three tokens in ten does.
    held = exam(["a cat" + " red" * 28] * 20)
    priors: list[float | None] = []
    for length in (30, 3):
        texts = [" ".join(["red"] * length)] * 5
        [found] = scores(
            INPUT_METRIC, held, Writer(firing=texts, silent=texts), told=f"{length}"
        ).values()
        priors.append(found.trivial.prior)
    assert priors[0] == 0.0
    assert priors[1] is not None
    assert priors[1] > 0.2


def test_the_rule_judge_s_neutral_texts_are_plain_pieces_and_no_minimal_pairs() -> None:
    held = exams.exam_on(on_tokens("cat", "cat"), fake_corpus())
    judge, told = RuleJudge(held.subject), rule_candidate("cat")
    silent = judge.write(told, 10, held.held_out.text, held.seed_of("written"), fires=False).values
    material = ["".join(window) for window in held.held_out.text.tokens]
    copied = [any(text in window for window in material) for text in silent if text]
    assert copied[:5] == [True] * 5
    assert copied[5:] == [False] * 5


@pytest.mark.parametrize(
    ("firing", "silent", "expected"),
    [(SILENT, FIRING, 0.0), (["red"] * 5, ["blue"] * 5, 0.0), (["a house"] * 5, ["red"] * 5, 1.0)],
)
def test_a_tie_fails_like_a_defeat(
    firing: Sequence[str], silent: Sequence[str], expected: float
) -> None:
    found = scores(INPUT_METRIC, exam(), Writer(firing=firing, silent=silent))
    assert found["input_metric"].value == expected


def test_the_input_metric_needs_five_texts_of_each_kind() -> None:
    [found] = scores(INPUT_METRIC, exam(), Writer(silent=SILENT[:4])).values()
    assert found.value is None
    assert "4 usable texts were written, 5 are needed" in found.reason


# With the rule judge, on a planted subject


def rule_candidate(*words: str) -> Candidate:
    rule = Rule((Branch(TokenIn(words, folded=True), 1.0),))
    return Candidate("agentic", 0, "Fires.", rule, rule.to_json())


@pytest.mark.parametrize("seed", range(3))
def test_the_true_explanation_scores_one_and_another_at_the_floor(seed: int) -> None:
    planted = Planted("return", lambda tokens: [5.0 * (t.strip() == "return") for t in tokens])
    returning = exams.exam_on(planted, fake_corpus(seed=seed), seed=seed)
    judge = RuleJudge(returning.subject)
    true, shuffled = rule_candidate("return"), rule_candidate("cat", "dog")
    right = [score.value for score in GENERATIVE.score(returning, true, judge)]
    assert right == [1.0, 0.0, 1.0]
    generative, negatives, separation = GENERATIVE.score(returning, shuffled, judge)
    assert generative.value is not None
    assert negatives.value is not None
    assert separation.value is not None
    # One natural piece in seven holds the word.
    assert max(generative.value, negatives.value) <= 0.4
    assert 0.25 <= separation.value <= 0.75
    assert [score.value for score in INPUT_METRIC.score(returning, true, judge)] == [1.0]


def test_two_evaluations_with_one_seed_agree_in_every_digit() -> None:
    def once(seed: int) -> list[Score]:
        planted = on_tokens("return", "return", scale=300.0)
        returning = exams.exam_on(planted, fake_corpus(), seed=seed)
        return GENERATIVE.score(returning, rule_candidate("return"), RuleJudge(returning.subject))

    assert once(3) == once(3)
    assert once(3) != once(4)


def test_an_explanation_that_covers_everything_has_no_negatives() -> None:
    returning = exams.exam_on(DEFAULT_FEATURES[0], fake_corpus())
    everything = Rule((Branch(InClass("any"), 1.0),))
    anything = Candidate("agentic", 0, "All.", everything, everything.to_json())
    found = {
        s.metric: s for s in GENERATIVE.score(returning, anything, RuleJudge(returning.subject))
    }
    assert found["generative"].value is not None
    assert found["generative"].value <= 0.7
    assert found["generative_negatives"].value is None
    assert "could be written" in found["generative_negatives"].reason
    assert found["generative_negatives"].floor == 1.0
    assert found["generative_auroc"].floor == 0.5
    [metric] = INPUT_METRIC.score(returning, anything, RuleJudge(returning.subject))
    assert (metric.value, metric.floor, metric.again) == (None, 0.0, False)


@pytest.mark.parametrize("seed", range(3))
def test_the_exact_grades_score_as_well_as_their_strongest_part(seed: int) -> None:
    grades = {"cat": 1.0, "dog": 0.5, "tree": 0.25}
    # An explanation gives round numbers: half of the scale is measured to be a little less.
    measured = {"cat": 8.0, "dog": 3.9, "tree": 2.0}
    animals = Planted("grades", lambda tokens: [measured.get(t.strip(), 0.0) for t in tokens])
    held = exams.exam_on(animals, fake_corpus(seed=seed), seed=seed)
    graded = Rule(tuple(Branch(TokenIn((w,), folded=True), s) for w, s in grades.items()))
    whole = Candidate("agentic", 0, "Fires.", graded, graded.to_json())
    judge = RuleJudge(held.subject)
    right = [score.value for score in GENERATIVE.score(held, whole, judge)]
    assert right == [1.0, 0.0, 1.0]
    assert GENERATIVE.score(held, rule_candidate("cat"), judge)[0].value == 1.0


@pytest.mark.parametrize("n_firing", [1, 3])
def test_rare_features_are_scored_like_others(n_firing: int) -> None:
    rare = exams.rare_exam(n_firing)
    found = GENERATIVE.score(rare, rule_candidate("cat"), RuleJudge(rare.subject))
    assert [score.value for score in found] == [1.0, 0.0, 1.0]
    assert found[0].trivial.prior == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("scorer", [GENERATIVE, INPUT_METRIC])
def test_a_feature_without_a_scale_has_no_score(scorer: Scorer) -> None:
    silent = exams.rare_exam(0)
    with pytest.raises(Unscorable, match="never fires"):
        scorer.score(silent, rule_candidate("cat"), RuleJudge(silent.subject))
