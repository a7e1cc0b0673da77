"""Readings and rewordings from a language model: behind the facts, and saying something new."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graphs.policies.language_model import LanguageModelPolicy
from graphs.policies.protocols import Case
from graphs.policies.symbolic.analysis import analyze_evidence as counted_facts
from graphs.records import Refinement, Setback
from tests.language_models import (
    AND,
    answering,
    case_of,
    dossier_of,
    experiment,
    flat,
    hypothesis,
    rule_json,
)

DOSSIER = dossier_of("single token")


def mixed_case() -> Case:
    """H1 came out mixed, H2 was refuted."""
    results = [
        experiment(DOSSIER, "H1", 1, "you and me", "active"),
        experiment(DOSSIER, "H1", 2, "you or me", "active"),
        experiment(DOSSIER, "H2", 3, "you were here", "active"),
        experiment(DOSSIER, "H2", 4, "we were there", "active"),
    ]
    one = hypothesis("H1", statement="Fires on conjunctions.")
    return case_of(one, hypothesis("H2", rule=rule_json(tokens=[" were"])), results=results)


def analysis(*refinements: dict[str, Any], **words: str) -> dict[str, Any]:
    said = [{"hypothesis": id, "text": text} for id, text in words.items()]
    full = [{"polarity": "active", "rule": None, "parent": None, **r} for r in refinements]
    return {"interpretations": said, "refinements": full}


def refined(policy: LanguageModelPolicy, case: Case) -> list[Refinement | Setback]:
    due = tuple(h.id for h in case.hypotheses if h.status == "refined")
    return policy.refine_hypotheses(DOSSIER, case.with_open(due))


def test_a_mixed_hypothesis_is_reworded_with_a_checked_rule() -> None:
    case = mixed_case()
    assert [h.status for h in case.hypotheses] == ["refined", "refuted"]
    policy, model = answering(
        analysis({"parent": "H1", "statement": "Fires on ' and'.", "rule": flat(AND)}, H1="Ah.")
    )
    told = {i.hypothesis: i.text for i in policy.analyze_evidence(DOSSIER, case)}
    assert told["H1"].startswith("As predicted, fired on: ' and'")
    assert told["H1"].endswith("Ah.")
    assert told["H2"].startswith("Against it, silent")
    (child,) = refined(policy, case)
    assert isinstance(child, Refinement)
    assert child.parent == "H1"
    assert "r = 1.00" in child.proposal.note
    assert len(model.paid) == 1


def test_two_rewordings_that_say_the_same_are_one() -> None:
    child = {"parent": "H1", "statement": "Fires on ' and'.", "rule": flat(AND)}
    twin = {"statement": "Fires on the word and.", "rule": flat(AND)}
    policy, model = answering(analysis(child, twin, {**twin, "rule": None}))
    answer = [r for r in refined(policy, mixed_case()) if isinstance(r, Refinement)]
    assert [(r.parent, r.proposal.rule is None) for r in answer] == [("H1", False), (None, True)]
    assert not model.complaints


def test_a_reading_stands_behind_the_facts_and_is_short() -> None:
    case = mixed_case()
    policy, _ = answering(analysis(H1="word " * 500, H2=" "))
    facts = {fact.hypothesis: fact.text for fact in counted_facts(DOSSIER, case)}
    told = {i.hypothesis: i.text for i in policy.analyze_evidence(DOSSIER, case)}
    assert told["H1"].startswith(f"{facts['H1']} word word")
    assert len(told["H1"]) <= 500
    assert told["H2"] == facts["H2"]


def test_at_last_an_unusable_rewording_is_left_out_alone() -> None:
    texts = ("Fires on verbs.", " \n", "fires on VERBS", "Fires on nouns.", "Fires on names.")
    news = [{"statement": text} for text in texts]
    policy, model = answering(analysis({"parent": "H1", "statement": ""}, *news, H1="Ah."))
    answer = [r for r in refined(policy, mixed_case()) if isinstance(r, Refinement)]
    assert [r.parent for r in answer] == [None, None]
    assert [r.proposal.statement for r in answer] == ["Fires on verbs.", "Fires on nouns."]
    assert len(model.complaints) == 2
    told = {i.hypothesis: i.text for i in policy.analyze_evidence(DOSSIER, mixed_case())}
    assert told["H1"].endswith("Ah.")


@pytest.mark.parametrize(
    "repeated",
    [
        {"statement": "fires on  Conjunctions"},
        {"statement": "fires on  Conjunctions", "rule": flat(AND)},
        {"statement": "Fires on another thing.", "rule": flat(AND)},
    ],
)
def test_a_rewording_that_says_the_same_is_refused(repeated: dict[str, Any]) -> None:
    known = hypothesis("H3", rule=rule_json(tokens=[" and"]), status="undecided")
    case = mixed_case()
    case = replace(case, hypotheses=(*case.hypotheses, known))
    policy, model = answering(analysis({"parent": "H1", **repeated}))
    reason = "its rewording says what an earlier hypothesis says"
    assert refined(policy, case) == [Setback(hypothesis="H1", reason=reason)]
    assert not model.complaints


def test_only_what_is_due_is_reworded_and_few_new_hypotheses_are_taken() -> None:
    news = [{"statement": f"Fires on new thing {n}."} for n in range(5)]
    wrong = analysis({"parent": "H2", "statement": "Fires on verbs."}, *news, H7="?")
    right = analysis({"parent": "H1", "statement": "Fires on verbs."}, *news)
    policy, model = answering(wrong, analysis(*wrong["refinements"]), right)
    answer = refined(policy, mixed_case())
    assert [r.parent for r in answer if isinstance(r, Refinement)] == ["H1", None, None]
    assert "nothing to interpret for H7" in model.complaints[0]
    assert "'H2' is not to be reworded; to be reworded: H1" in model.complaints[1]
    policy, _ = answering(wrong)
    answer = refined(policy, mixed_case())
    assert [r.parent for r in answer if isinstance(r, Refinement)] == [None, None]


def test_a_hypothesis_is_reworded_twice_at_most() -> None:
    results = [
        experiment(DOSSIER, "H3", 1, "you and me", "active", round=3),
        experiment(DOSSIER, "H3", 2, "you or me", "active", round=3),
    ]
    line = [
        hypothesis("H1", status="refined"),
        hypothesis("H2", parent="H1", status="refined", round=1),
        hypothesis("H3", parent="H2", round=2),
        hypothesis("H4", status="confirmed"),
    ]
    case = case_of(*line, results=results, round=3, open=("H3",))
    assert case.hypothesis("H3").status == "refined"
    policy, model = answering(analysis())
    (setback,) = policy.refine_hypotheses(DOSSIER, case)
    assert setback == Setback(hypothesis="H3", reason="it was reworded often enough")
    assert not model.questions
