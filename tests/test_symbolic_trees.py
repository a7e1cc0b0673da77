"""Rules grown from labelled tokens: what is planted is found, and noise is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from graphs.policies.symbolic.branches import listed
from graphs.policies.symbolic.divisions import Divisions, Vocabulary
from graphs.policies.symbolic.evidence import Evidence
from graphs.policies.symbolic.growing import MOST_LISTED, grow
from graphs.policies.symbolic.saying import as_branches
from graphs.policies.symbolic.tallies import Tallies, gains
from tools.rules import Rule, Windows

WORDS = [f" w{number}" for number in range(40)]
N_WINDOWS, LENGTH = 300, 40


def evidence_of(truth: Callable[[Sequence[str], int], float], seed: int = 0) -> Evidence:
    """Random words in windows of 60 documents, and how loud a feature is on each."""
    random = np.random.default_rng(seed)
    drawn: list[list[int]] = random.integers(0, 40, (N_WINDOWS, LENGTH)).tolist()
    texts = [[WORDS[n] for n in numbers] for numbers in drawn]
    target = np.array([truth(text, n) for text in texts for n in range(LENGTH)], np.float64)
    source = np.repeat(np.arange(N_WINDOWS) // 5, LENGTH)
    return Evidence(Windows.of(texts), target, np.ones(len(target)), source)


def grown(evidence: Evidence) -> Rule:
    return Rule(tuple(as_branches(grow(Divisions(Tallies(evidence))))))


def held_out_r(rule: Rule, truth: Callable[[Sequence[str], int], float]) -> float:
    fresh = evidence_of(truth, seed=1)
    return fresh.agreement(rule)


def test_graded_tokens_get_strengths_of_their_own() -> None:
    strengths = {" w1": 1.0, " w2": 0.7, " w3": 0.4, " w4": 0.2}
    rule = grown(evidence_of(lambda text, n: strengths.get(text[n], 0.0)))
    predicted = rule.predict([" w1", " w2", " w3", " w4", " w5"])
    assert predicted == pytest.approx([1.0, 0.7, 0.4, 0.2, 0.0], abs=0.02)
    assert listed(rule.branches) == 4


def test_what_context_decides_is_found() -> None:
    def after_w7(text: Sequence[str], n: int) -> float:
        return float(text[n] in (" w1", " w2") and n > 0 and text[n - 1] == " w7")

    rule = grown(evidence_of(after_w7))
    assert held_out_r(rule, after_w7) > 0.99
    assert listed(rule.branches) <= 3


def test_an_exception_is_found() -> None:
    def not_after_w7(text: Sequence[str], n: int) -> float:
        return float(text[n] == " w1" and text[max(n - 1, 0)] != " w7")

    assert held_out_r(grown(evidence_of(not_after_w7)), not_after_w7) > 0.99


def test_of_two_meanings_one_is_divided_by_context_and_the_other_is_not() -> None:
    def both(text: Sequence[str], n: int) -> float:
        if text[n] == " w1":
            return 0.6
        return float(text[n] == " w2" and " w9" in text[max(0, n - 4) : n])

    assert held_out_r(grown(evidence_of(both)), both) > 0.97


def test_noise_is_not_explained() -> None:
    random = np.random.default_rng(3)
    noise = evidence_of(lambda text, n: float(random.random() < 0.02))
    rule = grown(noise)
    fresh = np.random.default_rng(4)
    again = evidence_of(lambda text, n: float(fresh.random() < 0.02), seed=1)
    assert again.error(rule.predict_windows(again.windows)) < 1.05 * again.mass
    assert listed(rule.branches) <= MOST_LISTED


def test_what_a_single_document_shows_is_left_to_chance() -> None:
    evidence = evidence_of(lambda text, n: 0.0)
    odd = (evidence.source == 7) | (evidence.source == 8)
    loud = (evidence.windows.codes == 5) & odd
    one = loud & (evidence.source == 7)
    for mask in (one, loud):
        few = Evidence(evidence.windows, mask.astype(float), evidence.weight, evidence.source)
        root = grow(Divisions(Tallies(few)))
        assert root.condition is None


def test_tokens_that_a_long_list_sums_up_need_explain_less_each() -> None:
    strengths = dict.fromkeys(WORDS[:8], 1.0) | dict.fromkeys(WORDS[8:24], 0.28)
    tallies = Tallies(evidence_of(lambda text, n: strengths.get(text[n], 0.0)))
    plain = Divisions(tallies, Vocabulary(kinds=False, context=False))
    rule = Rule(tuple(as_branches(grow(plain))))
    assert rule.predict(WORDS[:25]) == pytest.approx([1.0] * 8 + [0.28] * 16 + [0.0], abs=0.02)


def test_a_list_is_no_longer_than_allowed() -> None:
    random = np.random.default_rng(2)
    means = dict(zip(WORDS, random.uniform(0.05, 1.0, 40), strict=True))
    evidence = evidence_of(
        lambda text, n: means[text[n]] * (1 + (n > 0 and text[n - 1] in WORDS[:15])) / 2
    )
    rule = grown(evidence)
    assert listed(rule.branches) <= MOST_LISTED
    assert evidence.agreement(rule) > 0.7


def test_gains_are_taken_on_the_half_that_a_mean_was_not_learned_from() -> None:
    total = np.array([4.0, 2.0, 4.0, 2.0])
    same = np.array([2.0, 2.0, 2.0, 2.0])
    assert gains(same, total) == pytest.approx(2.0)
    opposite = np.array([2.0, 2.0, 2.0, 0.0])
    assert gains(opposite, total) < 0


def test_equal_evidence_gives_equal_rules() -> None:
    def truth(text: Sequence[str], n: int) -> float:
        return 0.5 * (text[n] in WORDS[:6]) + 0.5 * (n < 4)

    assert grown(evidence_of(truth)) == grown(evidence_of(truth))
