"""Texts from a language model: only what can be measured and tells something is measured."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from graphs.policies.language_model import LanguageModelPolicy
from graphs.policies.language_model.flat_rules import executable
from graphs.policies.language_model.replies import (
    FlatRule,
)
from graphs.records import Design, Setback
from tests.language_models import (
    FakeLanguageModel,
    answering,
    case_of,
    dossier_of,
    experiment,
    flat,
    hypothesis,
    rule_json,
)

DOSSIER = dossier_of("single token")


def texts(*items: tuple[str, str], id: str = "H1", kind: str = "positive") -> dict[str, Any]:
    made = [{"hypothesis": id, "kind": kind, "text": t, "expected": e} for t, e in items]
    return {"experiments": made}


def trials(answer: Sequence[Design | Setback]) -> dict[str, tuple[str, str]]:
    """Text to kind and prediction."""
    return {
        trial.text: (design.kind, trial.predicted)
        for design in answer
        if isinstance(design, Design)
        for trial in design.trials
    }


def test_unusable_texts_are_dropped_one_by_one() -> None:
    measured = experiment(DOSSIER, "H1", 1, "we measured this and that", "active")
    case = case_of(hypothesis("H1"), results=[measured])
    bad = ["", " \n", "x" * 401, "half \ud83d", "nul \0", "a " * 60, "we measured this and that"]
    good = [("you and me", "active"), ("you or me", "inactive")]
    reply = texts(*((text, "active") for text in bad), *good, good[0])
    reply["experiments"] += texts(("stray and text", "active"), id="H9")["experiments"]
    policy, model = answering(reply)
    answer = policy.design_experiments(DOSSIER, case, 50)
    assert list(trials(answer)) == ["you and me", "you or me"]
    assert not model.complaints


def test_a_hypothesis_is_tested_on_texts_newer_than_itself() -> None:
    results = [
        experiment(DOSSIER, "H1", 1, "you and me", "active", round=1),
        experiment(DOSSIER, "H1", 2, "we and you", "active", round=2),
    ]
    older = [("you and me", "active"), ("you  and me\n", "inactive")]
    child = hypothesis("H2", parent="H1", round=1)
    case = case_of(hypothesis("H1"), child, results=results, round=2, open=("H2",))
    items = [*older, ("we and you", "active"), ("I and we", "inactive")]
    policy, _ = answering(texts(*items, id="H2"))
    found = policy.design_experiments(DOSSIER, case, 50)
    assert list(trials(found)) == ["we and you", "I and we"]


def test_a_rule_predicts_for_its_hypothesis() -> None:
    reply = texts(("you and me", "inactive"), ("you or me", "active"), ("and", "active"))
    policy, _ = answering(reply)
    ruled = case_of(hypothesis("H1", rule=rule_json(tokens=[" and"])))
    assert trials(policy.design_experiments(DOSSIER, ruled, 50)) == {
        "you and me": ("positive", "active"),
        "you or me": ("negative_control", "inactive"),
        "and": ("negative_control", "inactive"),
    }
    plain = case_of(hypothesis("H1"))
    assert trials(policy.design_experiments(DOSSIER, plain, 50)) == {
        "you and me": ("negative_control", "inactive"),
        "you or me": ("positive", "active"),
        "and": ("positive", "active"),
    }


def test_what_a_rule_calls_weak_is_left_to_the_model() -> None:
    branches = [{"tokens": [" and"], "strength": 1}, {"tokens": [" or"], "strength": 0.4}]
    rule = executable(FlatRule.model_validate(flat(*branches)), "active").to_json()
    policy, _ = answering(texts(("you or me", "inactive"), ("you or I", "active")))
    found = trials(policy.design_experiments(DOSSIER, case_of(hypothesis("H1", rule=rule)), 50))
    assert [predicted for _, predicted in found.values()] == ["inactive", "active"]


def test_silence_is_tested_only_by_what_is_said_not_to_fire() -> None:
    rule = rule_json(tokens=[" cat"])
    case = case_of(hypothesis("H1", polarity="inactive", rule=rule))
    items = [("a cat", "inactive"), ("a cat and", "active"), ("a dog", "inactive")]
    policy, _ = answering(texts(*items, ("the cat", "inactive"), kind="near_miss"))
    assert trials(policy.design_experiments(DOSSIER, case, 50)) == {
        "a cat": ("near_miss", "inactive"),
        "the cat": ("near_miss", "inactive"),
    }


def test_too_few_texts_are_asked_for_again_and_then_set_the_hypothesis_back() -> None:
    case = case_of(hypothesis("H1"))
    one, two = texts(("a", "active")), texts(("a", "active"), ("b", "inactive"))
    policy, model = answering(one, two)
    assert len(trials(policy.design_experiments(DOSSIER, case, 50))) == 2
    assert "Too few usable texts for H1; 8 are wanted" in model.complaints[0]
    policy, _ = answering(one)
    assert list(trials(policy.design_experiments(DOSSIER, case, 50))) == ["a"]
    policy, _ = answering(texts(("", "active")))
    (setback,) = policy.design_experiments(DOSSIER, case, 50)
    assert isinstance(setback, Setback)
    assert "no text for it that can be measured" in setback.reason


def test_a_one_sided_set_is_worth_no_further_call() -> None:
    # Asked again, the chain of calls grows; the prompt asks for both sides already.
    policy, model = answering(texts(("you and me", "active"), ("we and you", "active")))
    assert len(trials(policy.design_experiments(DOSSIER, case_of(hypothesis("H1")), 50))) == 2
    assert not model.complaints


def test_where_room_is_short_neither_side_is_cut() -> None:
    made = [(f"you {n} and", "active") for n in range(6)] + [(f"or {n}", "inactive") for n in "78"]
    policy, _ = answering(texts(*made))
    found = trials(policy.design_experiments(DOSSIER, case_of(hypothesis("H1")), 4))
    assert list(found) == ["you 0 and", "you 1 and", "or 7", "or 8"]


def test_other_whitespace_is_another_text_only_if_it_changes_what_is_expected() -> None:
    made = [("if x:\n    y", "active"), ("if x:\n  y", "active"), ("if  x:\n    y\n", "active")]
    policy, _ = answering(texts(*made, ("if x:\n y", "inactive"), ("if x: y", "inactive")))
    found = trials(policy.design_experiments(DOSSIER, case_of(hypothesis("H1")), 50))
    assert list(found) == ["if x:\n    y", "if x:\n y"]


@pytest.mark.parametrize(("room", "asked", "each"), [(50, 3, 8), (12, 3, 4), (4, 3, 1), (2, 2, 1)])
def test_room_is_shared_evenly(room: int, asked: int, each: int) -> None:
    def brain(body: dict[str, Any]) -> str:
        id = next(f"H{n}" for n in (1, 2, 3) if f'"enum": ["H{n}"]' in json.dumps(body))
        sides = ("active", "inactive")
        return json.dumps(texts(*((f"{id} and {n}", sides[n % 2]) for n in range(20)), id=id))

    model = FakeLanguageModel(brain)
    case = case_of(*map(hypothesis, ("H1", "H2", "H3")))
    designs = LanguageModelPolicy(model).design_experiments(DOSSIER, case, room)
    assert model.batches == [asked]
    tests = [d.hypothesis for d in designs if isinstance(d, Design) for _ in d.trials]
    assert list(Counter(tests).values()) == [each] * asked
    assert not model.complaints
    assert f"Texts for each open hypothesis: {each}." in model.prompts[0]
