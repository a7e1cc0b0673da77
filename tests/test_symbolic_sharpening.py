"""A rule's strong claims are to hold: where context decides, the context is said."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from graphs.policies.symbolic import SymbolicPolicy
from graphs.policies.symbolic.evidence import Evidence
from graphs.policies.symbolic.induction import as_rule, refitted
from graphs.policies.symbolic.sharpening import sharpened, sureness
from graphs.records import Hypothesis
from tests.test_symbolic import RULE, case_of, dossier_of, hypothesis
from tests.test_symbolic_experiments import evidence_of, rule_of
from tools.rules import Branch, Rule, TokenIn

ACTIVE = 0.5
X = TokenIn(("x",))
AFTER_IF = [["a", "if", "x!", "b"], ["c", "then", "x", "d"]]


def sharpened_by(rule: Rule, evidence: Evidence) -> Rule:
    return sharpened(
        rule, evidence, ACTIVE, lambda edited: as_rule(refitted(edited.branches, evidence)) or rule
    )


def test_the_context_in_which_a_token_fires_is_said() -> None:
    evidence = evidence_of(AFTER_IF * 12)
    found = sharpened_by(rule_of(X, 0.5), evidence)
    # Before the division every other claim holds, after it all of them; where the token is silent
    # nothing is claimed any more.
    assert sureness(rule_of(X, 0.5), evidence, ACTIVE) == pytest.approx(0.5)
    assert sureness(found, evidence, ACTIVE) == 1
    assert found.predict(["a", "if", "x", "b"]).tolist() == [0, 0, 1, 0]
    assert not found.predict(["c", "then", "x", "d"]).any()


@pytest.mark.parametrize(
    "texts",
    [
        [["a", "if", "x!", "b"]] * 12,
        [["a", "if", "x!", "b"], ["a", "if", "x", "b"]] * 12,
        AFTER_IF * 3,
    ],
    ids=["sure already", "no context tells", "seen too seldom"],
)
def test_what_cannot_be_made_surer_stays_as_it_is(texts: Sequence[Sequence[str]]) -> None:
    rule = rule_of(X, 0.5)
    assert sharpened_by(rule, evidence_of(texts)) == rule


def test_a_rule_that_claims_nothing_is_sure() -> None:
    assert sureness(rule_of(TokenIn(("y",))), evidence_of(AFTER_IF), ACTIVE) == 1


def test_only_strong_claims_are_looked_at() -> None:
    evidence = evidence_of([["y!", "b", "x", "c"]] * 12)
    graded = Rule((Branch(TokenIn(("y",)), 1.0), Branch(X, 0.3)))
    assert sureness(graded, evidence, ACTIVE) == 1


def children(confirmed: Hypothesis, *others: Hypothesis, feature: str) -> list[str]:
    case = case_of(confirmed, *others, open=(), round=1)
    found = SymbolicPolicy().refine_hypotheses(dossier_of(feature), case)
    return [r.proposal.statement for r in found if r.parent == confirmed.id]


def test_a_confirmed_hypothesis_whose_strong_claims_often_fail_gets_a_surer_child() -> None:
    vague = hypothesis(rule=rule_of(TokenIn((" not",)), 0.5), status="confirmed")
    [statement] = children(vague, feature="after a token")
    assert "' is'" in statement
    grown = [hypothesis(f"H{n}", status="refuted", parent="H1") for n in (2, 3)]
    assert not children(vague, *grown, feature="after a token")


def test_a_confirmed_hypothesis_that_is_sure_is_left_alone() -> None:
    assert not children(hypothesis(status="confirmed"), feature="single token")


def test_a_surer_child_takes_the_place_of_its_parent_once_it_is_confirmed() -> None:
    dossier = dossier_of("single token")
    parent = hypothesis(status="confirmed")
    near = Rule((Branch(TokenIn((" and",)), 0.85),))
    child = hypothesis("H2", near, status="confirmed", parent="H1")
    wrong = hypothesis("H3", rule_of(TokenIn((" is",))), status="confirmed", parent="H1")
    # As well supported as its parent, a child is preferred; a worse one, or a failed one, is not.
    for others, expected in [((child, wrong), near), ((wrong,), RULE)]:
        concluded = SymbolicPolicy().conclude(dossier, case_of(parent, *others, open=()))
        assert concluded.rule == expected.to_json()
    failed = child.model_copy(update={"status": "undecided"})
    concluded = SymbolicPolicy().conclude(dossier, case_of(parent, failed, open=()))
    assert concluded.rule == RULE.to_json()
