"""What experiments teach the symbolic policy: which texts it chooses, and what it makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from graphs.policies.protocols import Dossier
from graphs.policies.symbolic import SymbolicPolicy
from graphs.policies.symbolic.drafts import Workshop
from graphs.policies.symbolic.evidence import Evidence
from graphs.policies.symbolic.exploration import PROBED, explored
from graphs.policies.symbolic.information import Believed, believed, most_telling
from graphs.policies.symbolic.literals import REACHES
from graphs.policies.symbolic.probes import SWEEPS, swept_words
from graphs.policies.symbolic.tallies import Tallies
from graphs.policies.symbolic.texts import (
    Draft,
    Library,
    TokenizedTexts,
    expectation,
    expectations,
    readable,
)
from graphs.policies.symbolic.variants import improved, variants
from graphs.records import Conclusion, Hypothesis
from tests.test_symbolic import case_of, dossier_of, hypothesis, tiny
from tests.test_symbolic_planted import FEATURES
from tools.activations import SubjectInfo
from tools.rules import (
    AllOf,
    Before,
    Branch,
    Condition,
    FirstTokens,
    InClass,
    Not,
    Rule,
    TokenIn,
)

NUMBERS = tuple("23456789")


def rule_of(condition: Condition, strength: float = 1.0) -> Rule:
    return Rule((Branch(condition, strength),))


def evidence_of(texts: Sequence[Sequence[str]]) -> Evidence:
    """Texts of a source each; tokens that end with `!` fire, without the mark."""
    windows = [[token.removesuffix("!") for token in text] for text in texts]
    target = [float(token.endswith("!")) for text in texts for token in text]
    return tiny(windows, target)


def learned(rule: Rule, texts: Sequence[Sequence[str]]) -> Rule:
    """What a rule becomes when nothing else was measured."""
    return improved(rule, evidence_of(texts), evidence_of(texts))


def workshop_of(name: str, rule: Rule, dossier: Dossier | None = None) -> Workshop:
    known = dossier or dossier_of(name)
    return Workshop(
        dossier=known,
        rule=rule,
        rivals=(),
        own_words=[row.token for row in known.token_table],
        ordinary_words=[" the", "cat", " 7", "self", "("],
        rng=np.random.default_rng(0),
        test=Library(known.contexts),
    )


def test_a_list_becomes_the_class_that_a_sweep_showed() -> None:
    texts = [["a", f"{number}!", "b", "c"] for number in NUMBERS] * 3
    narrow = rule_of(TokenIn(NUMBERS[:3]))
    assert learned(narrow, texts) == rule_of(InClass("number"))


def test_a_class_gets_its_exceptions() -> None:
    texts = [["a", f"{number}!", "0", "1", "b"] for number in NUMBERS] * 3
    found = learned(rule_of(InClass("number")), texts)
    assert found == rule_of(AllOf((InClass("number"), Not(TokenIn(("0", "1"))))))


@pytest.mark.parametrize("reach", [3, 5, 8])
def test_the_reach_of_a_context_is_measured(reach: int) -> None:
    texts = [
        ["if", *"." * (distance - 1), "x!" if distance <= reach else "x"]
        for distance in range(1, 12)
    ] * 4
    start = rule_of(AllOf((TokenIn(("x",)), Before(TokenIn(("if",)), 1, 4))))
    said = rule_of(AllOf((TokenIn(("x",)), Before(TokenIn(("if",)), 1, reach))))
    assert learned(start, texts) == said


def test_a_position_is_measured_and_an_exception_of_chance_dropped() -> None:
    texts = [["x!", "x!", "x!", "odd", "x", "x"], ["odd", "x!", "x!", "x", "x", "x"]] * 6
    start = rule_of(AllOf((TokenIn(("x",)), FirstTokens(4), Not(Before(TokenIn(("odd",)), 1, 1)))))
    assert learned(start, texts) == rule_of(AllOf((TokenIn(("x",)), FirstTokens(3))))


def test_a_change_that_does_not_hold_elsewhere_is_not_made() -> None:
    texts = [["a", f"{number}!", "b", "c"] for number in NUMBERS] * 3
    elsewhere = [["1", "x", "7", "4", "b", "2!", "3!"]] * 8
    narrow = rule_of(TokenIn(NUMBERS[:2]))
    assert improved(narrow, evidence_of(texts), evidence_of(elsewhere)) == narrow


def test_what_is_right_is_left_as_it_is() -> None:
    texts = [["a", "x!", "b", "y", "c"]] * 12
    rule = rule_of(TokenIn(("x",)))
    found = list(variants(rule, evidence_of(texts)))
    assert found[0].rule == rule
    assert learned(rule, texts) == rule


def test_the_text_is_chosen_on_which_likely_rivals_disagree() -> None:
    rivals = [
        Believed(rule_of(InClass("number")), 0.5),
        Believed(rule_of(TokenIn(("1",))), 0.45),
        Believed(rule_of(TokenIn(("1", "a"))), 0.05),
    ]
    texts = [["1"], ["a"], ["7"], ["b"], ["8"]]
    # All rivals agree on the first and on `b`; only an unlikely one speaks of `a`.
    assert most_telling(texts, rivals, 5) == [2, 4, 1]
    assert most_telling(texts, rivals, 1) == [2]
    assert most_telling([], rivals, 3) == []


def test_weights_follow_the_evidence() -> None:
    texts = [["a", f"{number}!", "b", "c"] for number in NUMBERS] * 3
    weighed = believed([rule_of(TokenIn(NUMBERS[:3]))], evidence_of(texts))
    assert sum(each.weight for each in weighed) == pytest.approx(1.0)
    assert weighed[0].rule == rule_of(InClass("number"))


def test_exploring_keeps_to_its_room_and_to_texts_that_read_as_planned() -> None:
    rule = rule_of(TokenIn((" and",)))
    case = case_of(hypothesis(rule=rule))
    for room in (0, 5, 200):
        found = explored(workshop_of("single token", rule), case, room)
        assert len(found) <= min(room, PROBED + SWEEPS)
        assert bool(found) == bool(room)
    dossier = dossier_of("single token")
    for probe in found:
        tokens = dossier.tokenization.surfaces(dossier.tokenization.tokenize(probe.draft.text))
        assert (probe.predicted == "active") == (" and" in tokens)


class Large:
    """A tokenization of very many tokens that counts how many it is asked for."""

    window_size = 48
    asked = 0

    @property
    def info(self) -> SubjectInfo:
        return SubjectInfo("m", "s", "standard", "h", 1, 49, True, 250_000, "large")

    def tokenize(self, text: str) -> list[int]:
        return [1] * len(text)

    def surfaces(self, token_ids: Sequence[int]) -> list[str]:
        self.asked += len(token_ids)
        return [f"\ufffd{token}" if token % 2 else f"w{token}" for token in token_ids]


def test_a_sweep_looks_at_a_part_of_a_large_vocabulary_and_at_whole_characters_only() -> None:
    large = Large()
    dossier = replace(dossier_of("single token"), tokenization=large)
    words = swept_words(workshop_of("single token", rule_of(TokenIn((" and",))), dossier))
    assert 0 < large.asked <= 2000
    assert words
    assert not any("\ufffd" in word for word in words)


def test_a_guess_says_how_far_it_agrees_with_what_was_measured() -> None:
    dossier = dossier_of("single token")
    guess = hypothesis(status="undecided")
    said = SymbolicPolicy().conclude(dossier, case_of(guess, open=())).description
    agreement = float(said.partition("(measured r = ")[2].partition(")")[0])
    assert 0.7 * 0.75 < agreement <= 1


def test_where_nothing_was_confirmed_the_rule_that_agrees_most_is_the_guess() -> None:
    dossier = dossier_of("single token")
    best = hypothesis("H1", status="refuted")
    other = hypothesis("H2", rule_of(TokenIn((" is",))), status="undecided")
    conclusion = SymbolicPolicy().conclude(dossier, case_of(best, other, open=()))
    assert loudest(conclusion) == loudest(best)
    assert conclusion.labels == ()
    assert conclusion.description.startswith("Every guess was refuted; the best (measured r = ")
    confirmed = other.model_copy(update={"status": "confirmed"})
    conclusion = SymbolicPolicy().conclude(dossier, case_of(best, confirmed, open=()))
    assert loudest(conclusion) == loudest(other)


def loudest(said: Conclusion | Hypothesis) -> dict[str, Any]:
    """The first branch: a conclusion may add a faint background."""
    assert said.rule
    return said.rule["branches"][0]


# Texts


def test_many_texts_are_held_against_a_rule_as_each_is_alone() -> None:
    rule = Rule((Branch(TokenIn(("a",)), 1.0), Branch(Before(TokenIn(("b",)), 1, 2), 0.5)))
    texts = [(), ("a",), (), (), ("b", "c"), ("c", "c", "b"), ("b", "c", "a"), ()]
    alone = [expectation(rule, text) for text in texts]
    assert alone == [
        "inactive",
        "active",
        *["inactive"] * 2,
        None,
        "inactive",
        "active",
        "inactive",
    ]
    assert expectations(rule, TokenizedTexts.of(texts)) == alone
    assert expectations(rule, TokenizedTexts.of([])) == []


def test_a_text_is_taken_once_and_with_the_ending_that_it_has() -> None:
    drafts = [
        Draft("positive", "a return", "cannot be used", ending=" import"),
        Draft("minimal_pair", "a return", "can be", ending=" return"),
        Draft("near_miss", "a return", "comes too late"),
    ]
    [(draft, tokens)] = readable(dossier_of(list(FEATURES)[0]).tokenization, drafts)
    assert draft.purpose == "can be"
    assert tokens[-1] == " return"


@pytest.mark.parametrize("seed", range(4))
def test_words_near_before_are_found_where_the_condition_finds_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    texts = [random.choice(list("abcd."), size=n).tolist() for n in random.integers(1, 40, 12)]
    evidence = tiny(texts, random.random(sum(map(len, texts))).tolist())
    tallies = Tallies(evidence)
    for code, word in enumerate(evidence.windows.vocabulary):
        for reach in REACHES:
            mask = Before(TokenIn((word,)), 1, reach).mask(evidence.windows)
            assert ((tallies.since(code) <= reach) == mask).all()
