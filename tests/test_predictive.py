"""Predictive accuracy: which texts, which activations, and what the published texts cannot show."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from evaluation.draws.snippets import balanced_snippets, banded, sage_snippets
from evaluation.held_out import Passage
from evaluation.scorers.predictive import BALANCED, SAGE, SAGE_PER_TOKEN
from evaluation.scores import Score
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
from tools.errors import ActivationNotFinite, Unscorable
from tools.rules import AllOf, Before, InClass, TokenIn

CORPUS = fake_corpus(30)
RETURN = on_tokens("the word return", "return")
RETURNS = rule(TokenIn(("return", " return")))
NONE_AFTER_IS = on_tokens("None after is", "None", after="is", scale=20.0)
NONE = TokenIn(("None", " None"))
AFTER_IS = rule(AllOf((NONE, Before(TokenIn((" is",)), 1, 1))))


def score(found: Sequence[Score]) -> Score:
    [one] = found
    return one


def truth(passage: Passage) -> NDArray[np.float64]:
    return passage.activations.astype(np.float64)


# The bands


def test_ranks_come_from_the_published_bands() -> None:
    seen: set[int] = set()
    for seed in range(200):
        ranks = banded(100, 10, np.random.default_rng(seed))
        assert Counter(kind for kind, _ in ranks) == {"high": 4, "medium": 3, "low": 3}
        assert [rank for _, rank in ranks] == sorted({rank for _, rank in ranks})
        limits = {"high": (10, 40), "medium": (40, 70), "low": (70, 100)}
        assert all(limits[kind][0] <= rank < limits[kind][1] for kind, rank in ranks)
        seen.update(rank for _, rank in ranks)
    assert seen == set(range(10, 100))


@pytest.mark.parametrize(("n_ranked", "skip", "n"), [(20, 10, 10), (24, 10, 10), (10, 0, 10)])
def test_a_band_that_is_too_small_is_made_up_for_by_the_others(
    n_ranked: int, skip: int, n: int
) -> None:
    ranks = [rank for _, rank in banded(n_ranked, skip, np.random.default_rng(0))]
    assert len(ranks) == n
    assert len(set(ranks)) == n
    assert min(ranks) >= skip
    assert ranks == sorted(ranks)


def test_a_rare_feature_gives_every_rank_it_has() -> None:
    assert banded(7, 0, np.random.default_rng(0)) == [
        *(("high", rank) for rank in range(3)),
        *(("medium", rank) for rank in range(3, 5)),
        *(("low", rank) for rank in range(5, 7)),
    ]


# SAGE's texts


def test_sage_snippets_are_five_tokens_around_maxima_outside_the_ten_strongest() -> None:
    exam = exam_on(RETURN, CORPUS)
    strongest = {f"w{window}@" for window in exam.held_out.firing[:10]}
    snippets = sage_snippets(exam)
    assert len({text.passage.id for text in snippets}) == len(snippets) == 10
    for text in snippets:
        window, begin = map(int, text.passage.id[1:].split("@"))
        peak = int(np.argmax(exam.held_out.window(window)))
        tokens = exam.held_out.text.tokens[window]
        assert begin == max(0, peak - 5)
        assert text.passage.tokens == tokens[begin : peak + 6]
        assert text.passage.start == 0
        assert f"w{window}@" not in strongest


def long_range(tokens: Sequence[str]) -> list[float]:
    """Fires on `return` if anything stands more than six tokens before it."""
    return [
        (4.0 + index) * (token.strip() == "return" and index > 6)
        for index, token in enumerate(tokens)
    ]


def test_sage_snippets_are_measured_as_cut_and_cutting_changes_activations() -> None:
    exam = exam_on(Planted("far back", long_range), CORPUS)
    passes = exam.subject.forward_passes  # pyright: ignore[reportAttributeAccessIssue]
    texts = sage_snippets(exam)
    sage_snippets(exam)
    assert exam.subject.forward_passes == passes + 1  # pyright: ignore[reportAttributeAccessIssue]
    assert all(exam.held_out.window(int(t.passage.id[1:].split("@")[0])).any() for t in texts)
    assert not any(fires(text.passage) for text in texts)

    [cut] = SAGE.score(exam, candidate(RETURNS), RuleJudge())
    assert (cut.value, cut.floor) == (None, None)
    assert "measured activation is the same on all" in cut.reason
    [whole] = BALANCED.score(exam, candidate(), TellingJudge(simulates=truth))
    assert whole.value == pytest.approx(1.0)


def test_a_snippet_that_gives_no_number_is_a_reason_not_a_crash() -> None:
    exam = exam_on(RETURN, CORPUS)

    def broken(*_: object) -> None:
        raise ActivationNotFinite("The SAE gave NaN.")

    exam.subject.encode_windows = broken  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(Unscorable, match="SAE gave NaN"):
        SAGE.score(exam, candidate(RETURNS), RuleJudge())


# Balanced texts


def test_balanced_texts_are_bands_near_misses_and_random_ones_in_context() -> None:
    exam = exam_on(NONE_AFTER_IS, contexts())
    texts = balanced_snippets(exam)
    assert Counter(text.kind for text in texts) == {
        **{"high": 4, "medium": 3, "low": 3},
        **{"near_miss": 5, "random": 5},
    }
    assert len({text.passage.id for text in texts}) == 20
    for text in texts:
        passage = text.passage
        window, begin = map(int, passage.id[1:].split("@"))
        whole = exam.held_out.window(window)
        assert passage.start == begin
        assert passage.tokens == exam.held_out.text.tokens[window][: len(passage.tokens)]
        assert np.array_equal(passage.activations, whole[begin : len(passage.tokens)])
        assert len(passage.scored) <= 11
        if text.kind == "near_miss":
            assert not whole.any()
            assert any(token.strip() == "None" for token in passage.scored)


def test_near_misses_are_no_more_often_those_that_look_most_alike() -> None:
    weak = "a cat and " * 3
    strong = "a dog and " * 3
    quiet = "two red green " * 3
    planted = Planted("taught", lambda tokens: [0.0] * len(tokens))
    exam = exam_on(planted, [weak] * 15 + [quiet] * 20 + [strong] * 15 + ["one tree return"] * 8)
    activations = exam.held_out.activations.copy()
    for window in range(50, 58):
        activations[exam.held_out.text.starts[window]] = 1.0
    held_out = replace(exam.held_out, activations=activations)
    exam = replace(exam, held_out=held_out, table={" cat": 0.4, " dog": 3.0, " red": 0.2})
    kinds: Counter[str] = Counter()
    for seed in range(60):
        texts = balanced_snippets(reseeded(exam, seed))
        near = [text.passage.scored for text in texts if text.kind == "near_miss"]
        assert len(near) == 5
        assert all(" cat" in tokens or " dog" in tokens for tokens in near)
        kinds.update(" dog" if " dog" in tokens else " cat" for tokens in near)
    assert kinds[" dog"] / kinds.total() == pytest.approx(0.5, abs=0.1)


def test_no_token_is_in_two_snippets() -> None:
    often = on_tokens("often", "the", "a", "cat", "dog", "one")
    # Every window fires, and near misses are beside what fires.
    beside = ["one cat None is None red None dog two" + " None tree blue" * 9] * 10
    subjects = ((RETURN, CORPUS), (often, CORPUS), (often, CORPUS[:4]), (NONE_AFTER_IS, beside))
    for planted, texts in subjects:
        whole = exam_on(planted, texts, window_size=36)
        for seed in range(30):
            drawn: set[tuple[int, int]] = set()
            for text in balanced_snippets(reseeded(whole, seed)):
                window, begin = map(int, text.passage.id[1:].split("@"))
                tokens = {(window, begin + index) for index in range(len(text.passage.scored))}
                assert not drawn & tokens
                drawn |= tokens


def test_without_near_misses_random_texts_take_their_place() -> None:
    exam = replace(exam_on(RETURN, CORPUS), table={})
    kinds = Counter(text.kind for text in balanced_snippets(exam))
    assert (kinds["near_miss"], kinds["random"]) == (0, 10)


def test_random_texts_may_fire() -> None:
    exam = exam_on(Planted("dense", lambda tokens: [1.0 + len(t) for t in tokens]), CORPUS)
    texts = balanced_snippets(exam)
    assert Counter(text.kind for text in texts)["random"] == 10
    assert all(fires(text.passage) for text in texts)
    found = score(BALANCED.score(exam, candidate(), TellingJudge(simulates=truth)))
    assert found.value == pytest.approx(1.0)


# The score


def test_r_is_that_of_all_tokens_together() -> None:
    exam = exam_on(RETURN, CORPUS)
    judge = TellingJudge(simulates=lambda passage: np.arange(len(passage.scored), dtype=float))
    for scorer, draw in ((SAGE, sage_snippets), (BALANCED, balanced_snippets)):
        passages = [text.passage for text in draw(exam)]
        predicted = np.concatenate([np.arange(len(p.scored)) for p in passages])
        actual = np.concatenate([p.activations for p in passages])
        found = score(scorer.score(exam, candidate(), judge))
        assert found.value == pytest.approx(stats.pearsonr(predicted, actual).statistic, abs=1e-6)
        assert found.n == len(actual)
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
        assert (found.trivial.always, found.trivial.never, found.trivial.prior) == (None, None, 0)
        assert found.spent == judge.spent


def test_the_published_texts_cannot_tell_a_broad_rule_from_the_right_one_balanced_ones_can() -> (
    None
):
    exam = exam_on(NONE_AFTER_IS, contexts())
    right, broad = candidate(AFTER_IS), candidate(rule(NONE))
    judge = RuleJudge()
    sage = [score(SAGE.score(exam, each, judge)).value or 0.0 for each in (right, broad)]
    balanced = [score(BALANCED.score(exam, each, judge)).value or 0.0 for each in (right, broad)]
    assert sage[0] == sage[1]
    assert sage[1] > 0.8
    assert balanced[0] > 0.8
    assert balanced[0] - balanced[1] > 0.15


def test_a_class_that_is_wide_enough_scores_nothing() -> None:
    exam = exam_on(RETURN, CORPUS)
    [found] = BALANCED.score(exam, candidate(rule(InClass("word"))), RuleJudge())
    assert found.value is not None
    assert found.value < 0.4


@pytest.mark.parametrize("constant", [0.0, 0.7])
def test_a_constant_prediction_has_no_r(constant: float) -> None:
    exam = exam_on(RETURN, CORPUS)
    judge = TellingJudge(simulates=lambda passage: np.full(len(passage.scored), constant))
    for scorer in (SAGE, BALANCED):
        found = score(scorer.score(exam, candidate(), judge))
        assert found.value is None
        assert "the prediction is the same on all" in found.reason
        # The explanation is why, so that it counts as no correlation; nothing else ever does.
        assert (found.floor, found.again) == (0.0, False)
        assert found.spent == judge.spent


def test_there_is_no_floor_where_the_texts_are_why_r_is_undefined() -> None:
    exam = exam_on(Planted("far back", long_range), CORPUS)
    same = TellingJudge(simulates=lambda passage: np.zeros(len(passage.scored)))
    other = TellingJudge(simulates=lambda passage: np.arange(len(passage.scored), dtype=float))
    for judge in (same, other):
        found = score(SAGE.score(exam, candidate(), judge))
        assert (found.value, found.floor) == (None, None)
        assert "the measured activation is the same" in found.reason


def test_after_a_lost_answer_there_is_no_score() -> None:
    exam = exam_on(RETURN, CORPUS)
    gone = sage_snippets(exam)[0].passage.id

    def told(share: float) -> Callable[[Passage], NDArray[np.float64] | None]:
        return lambda passage: None if passage.id == gone else share * truth(passage)

    for share in (1.0, 0.0):
        judge = TellingJudge(simulates=told(share), lost=1)
        found = score(SAGE.score(exam, candidate(), judge))
        assert (found.value, found.floor, found.again) == (None, None, True)
        assert "1 of 10 answers of the judge were lost" in found.reason
        assert found.spent == judge.spent


def test_r_without_near_misses_is_that_of_all_other_tokens() -> None:
    exam = exam_on(NONE_AFTER_IS, contexts())
    found = score(BALANCED.score(exam, candidate(rule(NONE)), RuleJudge()))
    texts = [text for text in found.details["texts"] if text["kind"] != "near_miss"]
    assert len(texts) == 15
    predicted = [value for text in texts for value in text["predicted"]]
    actual = [value for text in texts for value in text["actual"]]
    expected = stats.pearsonr(predicted, actual).statistic
    assert found.details["r_without_near_misses"] == pytest.approx(expected, abs=1e-3)
    assert found.details["r_without_near_misses"] > (found.value or 0) + 0.05
    published = score(SAGE.score(exam, candidate(rule(NONE)), RuleJudge()))
    assert "r_without_near_misses" not in published.details


def test_r_without_near_misses_is_null_where_it_is_undefined() -> None:
    exam = exam_on(NONE_AFTER_IS, contexts())
    near = {text.passage.id for text in balanced_snippets(exam) if text.kind == "near_miss"}
    judge = TellingJudge(simulates=lambda p: np.arange(len(p.scored), dtype=float) * (p.id in near))
    found = score(BALANCED.score(exam, candidate(), judge))
    assert found.value is not None
    assert found.details["r_without_near_misses"] is None
    nothing = score(BALANCED.score(exam, candidate(), TellingJudge()))
    assert (nothing.value, nothing.details["r_without_near_misses"]) == (None, None)


def test_texts_without_an_answer_are_left_out_and_counted() -> None:
    exam = exam_on(RETURN, CORPUS)
    lost = {text.passage.id for text in sage_snippets(exam)[:5]}
    judge = TellingJudge(simulates=lambda p: None if p.id in lost else truth(p))
    found = score(SAGE.score(exam, candidate(), judge))
    assert found.value == pytest.approx(1.0)
    assert found.parse_failures == 0.5
    assert len(found.details["texts"]) == 5
    assert found.n == sum(len(text.passage.scored) for text in sage_snippets(exam)[5:])


def test_with_more_than_half_missing_there_is_no_score() -> None:
    exam = exam_on(RETURN, CORPUS)
    lost = {text.passage.id for text in sage_snippets(exam)[:6]}
    judge = TellingJudge(simulates=lambda p: None if p.id in lost else truth(p))
    found = score(SAGE.score(exam, candidate(), judge))
    assert (found.value, found.low, found.parse_failures) == (None, None, 0.6)
    assert "6 of 10 answers" in found.reason
    assert "cut off" in found.reason
    assert found.spent == judge.spent


def test_details_are_json_and_give_the_score_again() -> None:
    exam = exam_on(NONE_AFTER_IS, contexts())
    found = score(BALANCED.score(exam, candidate(rule(NONE)), RuleJudge()))
    texts = json.loads(json.dumps(dict(found.details)))["texts"]
    assert {text["kind"] for text in texts} == {"high", "medium", "low", "near_miss", "random"}
    predicted = [value for text in texts for value in text["predicted"]]
    actual = [value for text in texts for value in text["actual"]]
    assert stats.pearsonr(predicted, actual).statistic == pytest.approx(found.value, abs=1e-3)


def test_per_token_asks_for_the_same_texts_token_by_token() -> None:
    exam = exam_on(RETURN, CORPUS)
    judge = TellingJudge(simulates=truth)
    once = score(SAGE.score(exam, candidate(), judge))
    each = score(SAGE_PER_TOKEN.score(exam, candidate(), judge))
    assert judge.asked[0] == judge.asked[1]
    assert (once.details["how"], each.details["how"]) == ("integers", "per_token")
    assert (once.metric, each.metric) == ("predictive_sage", "predictive_sage_per_token")


# Rare features, short texts, seeds


@pytest.mark.parametrize("n_firing", [0, 1, 3])
def test_a_rare_feature_has_no_score_and_a_reason(n_firing: int) -> None:
    exam = rare_exam(n_firing)
    for scorer in (SAGE, SAGE_PER_TOKEN, BALANCED):
        with pytest.raises(Unscorable, match=f"fires in {n_firing} held-out windows"):
            scorer.score(exam, candidate(RETURNS), RuleJudge())


def test_seven_windows_are_enough_for_balanced_texts_and_too_few_for_sage() -> None:
    exam = rare_exam(7)
    with pytest.raises(Unscorable, match="needs 10"):
        SAGE.score(exam, candidate(), RuleJudge())
    kinds = Counter(text.kind for text in balanced_snippets(exam))
    assert kinds == {"high": 3, "medium": 2, "low": 2, "random": 10}
    cat = candidate(rule(TokenIn((" cat",))))
    assert score(BALANCED.score(exam, cat, RuleJudge())).value == pytest.approx(1.0)


def test_nineteen_windows_are_too_few_for_sage_and_twenty_enough() -> None:
    with pytest.raises(Unscorable, match="9 of them outside the 10 strongest"):
        sage_snippets(rare_exam(19))
    assert len(sage_snippets(rare_exam(20))) == 10


def test_tokens_that_cannot_be_decoded_are_texts_like_others() -> None:
    broken = on_tokens("no character", "\N{REPLACEMENT CHARACTER}")
    texts = [text.replace(" the", " \u6f22") for text in CORPUS]
    exam = exam_on(broken, texts)
    assert fires(sage_snippets(exam)[0].passage)
    predictor = candidate(rule(TokenIn(("\N{REPLACEMENT CHARACTER}",))))
    for scorer in (SAGE, BALANCED):
        assert (score(scorer.score(exam, predictor, RuleJudge())).value or 0.0) > 0.7


def test_windows_of_any_length_have_scores_or_reasons() -> None:
    random = np.random.default_rng(0)
    for seed in range(30):
        n_windows = int(random.integers(1, 40))
        lengths = random.integers(1, 14, n_windows)
        texts = ["".join(random.choice([" cat", " dog", " tree"], size=n)) for n in lengths]
        exam = exam_on(on_tokens("cat", "cat"), texts, seed=seed)
        for scorer in (SAGE, BALANCED):
            try:
                found = score(scorer.score(exam, candidate(rule(TokenIn((" cat",)))), RuleJudge()))
            except Unscorable:
                continue
            assert (found.value is None) == bool(found.reason)


def test_equal_seeds_give_equal_scores_and_another_seed_other_texts() -> None:
    found = [
        [score(each.score(exam, candidate(RETURNS), RuleJudge())) for each in (SAGE, BALANCED)]
        for exam in (exam_on(RETURN, CORPUS, seed=seed) for seed in (4, 4, 5))
    ]
    assert found[0] == found[1]
    assert found[0][0].details != found[2][0].details
    assert found[0][1].details != found[2][1].details


def test_all_explanations_meet_the_same_texts() -> None:
    exam = exam_on(RETURN, CORPUS)
    judge = RuleJudge()
    for predictor in (RETURNS, AFTER_IS):
        BALANCED.score(exam, candidate(predictor), judge)
    assert judge.asked[0] == judge.asked[1]
