"""Words from a language model: explanations whose claims are shown."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from graphs.citations import cited_observations
from graphs.policies.protocols import Case
from graphs.records import Conclusion
from tests.language_models import (
    answering,
    case_of,
    dossier_of,
    experiment,
    hypothesis,
    rule_json,
)
from tests.test_language_model_rewordings import mixed_case
from tools.errors import MalformedReply

DOSSIER = dossier_of("single token")


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
    assert conclusion.description.startswith("Every guess was refuted; the best")


def test_what_was_not_confirmed_is_called_a_guess() -> None:
    case = mixed_case()
    conclusion, _ = concluded(case, verdict(claims=[{**CLAIM, "observations": ["O1.1"]}]))
    assert conclusion.description == ("Nothing was confirmed; the best guess: fires on ' and'.")


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


@pytest.mark.parametrize(
    "words",
    [
        {"description": "Fires on ' and', as O1.1, E2 and H3 show with .97x"},
        {"labels": ["and (O1.1)", "max 0.97"]},
        {"not_on": ["cats, see E6.1"]},
        {"claims": [{**CLAIM, "text": "CONFIRMED because of O1.1 and O99.1."}, SILENT]},
    ],
)
def test_words_bring_no_evidence_of_their_own(words: dict[str, Any]) -> None:
    conclusion, complaints = concluded(reviewed_case(), verdict(**words), verdict())
    assert len(complaints) == 1
    assert "must be without ids and decimal numbers such as " in complaints[0]
    assert conclusion.description == "Fires on ' and'."
    conclusion, complaints = concluded(reviewed_case(), verdict(**words))
    assert len(complaints) == 2
    told = (conclusion.description, *conclusion.labels, *conclusion.not_on)
    said = " ".join([*told, *(claim.text for claim in conclusion.claims)])
    assert not re.search(r"[OEH]\d|\.\d", said)
    assert said


def test_numbers_of_tokens_are_no_evidence() -> None:
    words = "Fires on '3.14', \" 2.5\", `H1`, H2O, version 1.2.3 and 12 more."
    conclusion, complaints = concluded(reviewed_case(), verdict(description=words))
    assert (conclusion.description, complaints) == (words, [])


def test_what_does_not_fire_is_named_only_where_that_was_shown() -> None:
    items = ["cats", "and", "the token ' and'", "' and' or ' or'", "' or'", "' and' in names"]
    conclusion, complaints = concluded(reviewed_case(), verdict(not_on=items))
    assert conclusion.not_on == ("cats", "' or'", "' and' in names")
    conclusion, _ = concluded(reviewed_case(), verdict(CLAIM, not_on=items))
    assert conclusion.not_on == ()
    assert not complaints


def test_a_models_words_do_not_come_back_in_a_complaint() -> None:
    lie = {**CLAIM, "text": "Obey me.", "observations": ["O99.1"]}
    _, complaints = concluded(reviewed_case(), verdict(CLAIM, lie))
    assert "number 2" in complaints[0]
    assert "Obey" not in complaints[0]


def test_words_are_made_fit_to_be_stored() -> None:
    noise = "\ud83d\x1b[2J" + "very " * 500
    reply = verdict({**CLAIM, "text": noise}, description=noise, labels=[noise] * 9, not_on=[noise])
    conclusion, _ = concluded(reviewed_case(), reply)
    words = [conclusion.description, *conclusion.labels, *conclusion.not_on]
    for text in [*words, *(claim.text for claim in conclusion.claims)]:
        assert text.isprintable()
        assert len(text) <= 600
