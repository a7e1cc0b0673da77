"""Words from a language model: rewordings that say something new, claims that are shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graphs.citations import cited_observations
from graphs.policies.language_model import LanguageModelPolicy
from graphs.policies.protocols import Case
from graphs.records import Conclusion, Refinement, Setback
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
from tools.errors import MalformedReply

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
    assert told["H1"] == "Ah."
    assert told["H2"].startswith("Against it, silent")
    (child,) = refined(policy, case)
    assert isinstance(child, Refinement)
    assert child.parent == "H1"
    assert "r = 1.00" in child.proposal.note
    assert len(model.paid) == 1


@pytest.mark.parametrize(
    "repeated",
    [
        {"statement": "fires on  Conjunctions"},
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


def reviewed_case() -> Case:
    """H1 is confirmed, H2 refuted, H3 a confirmed silence."""
    results = [
        experiment(DOSSIER, "H1", 1, "you and me", "active"),
        experiment(DOSSIER, "H1", 2, "we and they", "active"),
        experiment(DOSSIER, "H1", 3, "you or me", "inactive"),
        experiment(DOSSIER, "H2", 4, "you were", "active"),
        experiment(DOSSIER, "H2", 5, "we were", "active"),
        experiment(DOSSIER, "H3", 6, "my cat", "inactive"),
        experiment(DOSSIER, "H3", 7, "your cat", "inactive"),
    ]
    return case_of(
        hypothesis("H1", rule=rule_json(tokens=[" and"])),
        hypothesis("H2", rule=rule_json(tokens=[" were"])),
        hypothesis("H3", polarity="inactive"),
        results=results,
    )


CLAIM = {"text": "It fires on ' and'.", "shows": "active", "observations": ["O1.1", "O2.1"]}
SILENT = {"text": "Not on cats.", "shows": "inactive", "observations": ["O6.1"]}


def verdict(*claims: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "more_tests": [],
        "best": "H1",
        "description": "Fires on ' and'.",
        "labels": ["and", "and", ""],
        "not_on": ["cats"],
        "claims": list(claims or (CLAIM, SILENT)),
        **changes,
    }


def concluded(case: Case, *replies: dict[str, Any]) -> tuple[Conclusion, list[str]]:
    policy, model = answering(*replies)
    return policy.conclude(DOSSIER, case), model.complaints


def test_the_explanation_rests_on_what_was_confirmed() -> None:
    case = reviewed_case()
    assert [h.status for h in case.hypotheses] == ["confirmed", "refuted", "confirmed"]
    conclusion, complaints = concluded(case, verdict())
    assert conclusion.rule == case.hypothesis("H1").rule
    assert conclusion.description == "Fires on ' and'."
    assert (conclusion.labels, conclusion.not_on) == (("and",), ("cats",))
    assert len(cited_observations(conclusion, case.observations)) == 3
    assert not complaints


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({**CLAIM, "observations": ["O1.1", "O99.1"]}, "do not exist: O99.1"),
        ({**CLAIM, "observations": ["O1.1", "O3.1"]}, "came out otherwise: O3.1"),
        ({**CLAIM, "shows": "inactive"}, "came out otherwise: O1.1, O2.1"),
        ({**CLAIM, "observations": []}, "none at all"),
        ({**CLAIM, "text": " \n"}, "empty text"),
    ],
)
def test_a_claim_is_refused_unless_its_observations_show_it(
    claim: dict[str, Any], message: str
) -> None:
    conclusion, complaints = concluded(reviewed_case(), verdict(CLAIM, claim), verdict())
    assert len(complaints) == 1
    assert message in complaints[0]
    # Told three times in vain, what holds is kept and what does not is dropped.
    conclusion, complaints = concluded(reviewed_case(), verdict(CLAIM, claim))
    assert len(complaints) == 2
    assert cited_observations(conclusion, reviewed_case().observations)
    assert all(set(c.observations) <= {"O1.1", "O2.1"} for c in conclusion.claims)
    assert all(c.text for c in conclusion.claims)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (verdict(SILENT), "cite results of H1 that came out active"),
        (verdict({**CLAIM, "observations": ["O7.7"]}), "cite results of H1"),
        (verdict(description="\x00"), "description is empty"),
    ],
)
def test_an_explanation_without_evidence_is_no_answer(reply: dict[str, Any], message: str) -> None:
    policy, _ = answering(reply)
    with pytest.raises(MalformedReply, match=message):
        policy.conclude(DOSSIER, reviewed_case())


def test_a_refuted_hypothesis_gives_no_rule() -> None:
    conclusion, complaints = concluded(reviewed_case(), verdict(best="H2"))
    assert "best is 'H2'; the measurements leave: H1." in complaints[0]
    assert conclusion.rule == reviewed_case().hypothesis("H1").rule
    case = reviewed_case()
    refuted = case_of(
        case.hypothesis("H2"),
        results=list(zip(case.experiments[3:5], case.observations[3:5], strict=True)),
    )
    conclusion, complaints = concluded(refuted, verdict(best="H2", claims=[]))
    assert not complaints
    assert (conclusion.rule, conclusion.labels, conclusion.claims) == (None, (), ())
    assert conclusion.description.startswith("All that it was thought to fire on was refuted")


def test_what_was_not_confirmed_is_called_a_guess() -> None:
    case = mixed_case()
    conclusion, _ = concluded(case, verdict(claims=[{**CLAIM, "observations": ["O1.1"]}]))
    assert conclusion.description == (
        "Nothing that it fires on was confirmed; the best guess: fires on ' and'."
    )


def test_a_review_asks_for_few_known_hypotheses_and_for_none_when_it_is_over() -> None:
    case = reviewed_case()
    many = case_of(*map(hypothesis, ("H1", "H2", "H3", "H4", "H5")))
    wish = verdict(more_tests=["H2", "H2", "H3", "H4", "H5"], claims=[])
    policy, _ = answering(wish)
    assert policy.review(DOSSIER, many).requests == ("H2", "H3", "H4")
    policy, model = answering(verdict(more_tests=["H9", "H2"]))
    assert policy.review(DOSSIER, case).requests == ("H2",)
    assert "more_tests may name H1, H2, H3 only" in model.complaints[0]
    policy, _ = answering(verdict(more_tests=["H2"]))
    assert policy.review(DOSSIER, replace(case, final=True)).requests == ()


def test_words_are_made_fit_to_be_stored() -> None:
    noise = "\ud83d\x1b[2J" + "very " * 500
    reply = verdict({**CLAIM, "text": noise}, description=noise, labels=[noise] * 9, not_on=[noise])
    conclusion, _ = concluded(reviewed_case(), reply)
    words = [conclusion.description, *conclusion.labels, *conclusion.not_on]
    for text in [*words, *(claim.text for claim in conclusion.claims)]:
        assert text.isprintable()
        assert len(text) <= 600
