"""Agreement with planted truth and the audit of verdicts, against cases computed by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console

from evaluation.agentic import agentic_candidates
from evaluation.candidate import Candidate, Predictor
from evaluation.exam import Exam
from evaluation.held_out import FeatureText, SplitText
from evaluation.judges.judge import Judge
from evaluation.measuring import held_out_sample, measure
from evaluation.scorers.recovered import RECOVERED
from evaluation.scorers.verdict_audit import VERDICT_AUDIT
from evaluation.scores import UNDEFINED, Score, Trivial
from evaluation.truth import Truth, truths
from graphs.config import parse_config
from graphs.findings import Findings
from graphs.run import finish_run
from graphs.runs import RunStore
from graphs.storage import open_database
from graphs.subjects import open_subject
from graphs.terminal.progress import ProgressReporter
from tests.fakes import FakeSubject
from tools.errors import Unscorable
from tools.rules import Branch, Condition, FirstTokens, Rule, TokenIn

RULE_JUDGE = cast(Judge, SimpleNamespace(name="rule"))
MODEL_JUDGE = cast(Judge, SimpleNamespace(name="language_model"))
WINDOWS = (("a", "b", "a", "c"), ("c", "c", "b"), ("d", "a", "d", "d", "d"))
"""Twelve tokens; `a` stands on three of them, `b` on two, `c` on three, `d` on four."""


def rule(*tokens: str, strength: float = 1.0) -> Rule:
    return Rule((Branch(TokenIn(tokens), strength),))


def exam(true: Predictor | None, hypotheses: Sequence[Mapping[str, Any]] = ()) -> Exam:
    ids = tuple(tuple(map(ord, window)) for window in WINDOWS)
    text = SplitText(ids, WINDOWS)
    return Exam(
        feature=3,
        scale=1.0,
        held_out=FeatureText(text, np.zeros(12, np.float32)),
        table={},
        subject=FakeSubject(),
        seed=0,
        truth=None if true is None else Truth("token set", "Fires on some letters.", true),
        hypotheses=hypotheses,
    )


def candidate(predictor: Predictor | None, explainer: str = "agentic") -> Candidate:
    return Candidate(explainer, 3, "words", predictor, {})


def recovered(predicted: Rule, true: Rule) -> tuple[Score, Score]:
    f1, r = RECOVERED.score(exam(true), candidate(predicted), RULE_JUDGE)
    return f1, r


def test_the_right_explanation_is_perfect() -> None:
    f1, r = recovered(rule("a", "b"), rule("a", "b"))
    assert (f1.metric, r.metric) == RECOVERED.metrics
    assert f1.value == 1.0
    assert (f1.low, f1.high) == (1.0, 1.0)
    assert r.value == pytest.approx(1.0)


def test_f1_and_r_as_computed_by_hand() -> None:
    # Truly active: a, a, a, b, b. Predicted: a, a, a, c, c, c. Hits 3, false alarms 3, misses 2.
    f1, r = recovered(rule("a", "c"), rule("a", "b"))
    assert f1.value == pytest.approx(2 * 3 / (2 * 3 + 3 + 2))
    assert f1.details["precision"] == pytest.approx(3 / 6)
    assert f1.details["recall"] == pytest.approx(3 / 5)
    assert (f1.details["predicted"], f1.details["true"]) == (6, 5)
    assert f1.details["family"] == "token set"
    assert f1.details["truth"] == "Fires on some letters."
    assert f1.low is not None
    assert f1.low <= f1.value <= (f1.high or 0)
    # Yes to all 12: precision 5/12, recall 1. Yes at random as often as true: both 5/12.
    assert f1.trivial == Trivial(always=2 * 5 / 17, never=0.0, prior=5 / 12)
    assert f1.n == r.n == 12
    flat = [token for window in WINDOWS for token in window]
    said, true = [t in "ac" for t in flat], [t in "ab" for t in flat]
    assert r.value == pytest.approx(np.corrcoef(said, true)[0, 1])
    assert r.trivial.prior == 0.0


@pytest.mark.parametrize(("strength", "value"), [(0.1, 1.0), (0.09, 0.0)])
def test_active_is_a_tenth_of_the_scale_on_both_sides(strength: float, value: float) -> None:
    f1, _ = recovered(rule("a", strength=strength), rule("a", strength=0.1))
    assert f1.value == value


def test_predicting_nothing_is_no_precision_and_an_f1_of_zero() -> None:
    f1, r = recovered(rule("x"), rule("a"))
    assert f1.value == 0.0
    assert f1.details["precision"] is None
    assert f1.details["recall"] == 0.0
    assert r.value is None
    assert "same for every token" in r.reason
    assert r.floor == 0.0
    assert not r.again


def test_a_truth_that_nothing_can_correlate_with_is_not_the_explanation_s_fault() -> None:
    everywhere = Rule((Branch(FirstTokens(99), 1.0),))
    for predicted in (rule("a"), everywhere):
        _, r = recovered(predicted, everywhere)
        assert (r.value, r.floor) == (None, None)


def test_always_scores_what_the_trivial_judge_does() -> None:
    everywhere = Rule((Branch(FirstTokens(99), 1.0),))
    f1, r = recovered(everywhere, rule("a", "b"))
    assert f1.value == f1.trivial.always
    assert (r.value, r.floor) == (None, 0.0)


@pytest.mark.parametrize(
    ("true", "predictor", "judge", "reason"),
    [
        (None, rule("a"), RULE_JUDGE, "meaning is not known"),
        (rule("a"), rule("a"), MODEL_JUDGE, "can be executed"),
        (rule("a"), None, RULE_JUDGE, "can be executed"),
        (rule("x"), rule("a"), RULE_JUDGE, "never fires on the held-out text"),
        (rule("a", strength=0.05), rule("a"), RULE_JUDGE, "never fires on the held-out text"),
    ],
)
def test_what_cannot_be_scored_says_why(
    true: Rule | None, predictor: Rule | None, judge: Judge, reason: str
) -> None:
    with pytest.raises(Unscorable, match=reason):
        RECOVERED.score(exam(true), candidate(predictor), judge)


def test_two_evaluations_give_equal_scores() -> None:
    assert recovered(rule("a", "c"), rule("a", "b")) == recovered(rule("a", "c"), rule("a", "b"))


def hypothesis(
    statement: str, status: str, condition: Condition | None, polarity: str = "active"
) -> dict[str, Any]:
    told = condition and Rule((Branch(condition, 0.8),)).to_json()
    return {"statement": statement, "status": status, "polarity": polarity, "rule": told}


HYPOTHESES = (
    hypothesis("a: always right", "confirmed", TokenIn(("a",))),
    hypothesis("a and b: right as well", "refuted", TokenIn(("a", "b"))),
    hypothesis("c: always wrong", "refuted", TokenIn(("c",))),
    hypothesis("d and c and one a in ten: wrong", "refined", TokenIn(("d", "c", "a"))),
    hypothesis("c and b, 2 of 5: wrong", "refuted", TokenIn(("c", "b"))),
    hypothesis("a and c, 3 of 6: neither", "refuted", TokenIn(("a", "c"))),
    hypothesis("silent on d: right", "undecided", TokenIn(("d",)), "inactive"),
    hypothesis("silent on a: wrong", "refuted", TokenIn(("a",)), "inactive"),
    hypothesis("of nothing there: not counted", "refuted", TokenIn(("x",))),
    hypothesis("without a rule: not counted", "refuted", None),
)


def audited(*hypotheses: Mapping[str, Any]) -> tuple[Score, Score, Score]:
    held = exam(rule("a", "b"), hypotheses)
    wrong, confirmed, right = VERDICT_AUDIT.score(held, candidate(rule("a")), RULE_JUDGE)
    return wrong, confirmed, right


def test_verdicts_are_held_against_the_truth() -> None:
    wrong, confirmed, right = audited(*HYPOTHESES)
    assert (wrong.metric, confirmed.metric, right.metric) == VERDICT_AUDIT.metrics
    # Wrong: c; c, d and a (3 of 10); c and b; silence on a. Three of the four were refuted.
    assert (wrong.value, wrong.n) == (3 / 4, 4)
    assert (confirmed.value, confirmed.n) == (0, 4)
    # Right: a; a and b; silence on d. One of the three was refuted.
    assert (right.value, right.n) == (pytest.approx(1 / 3), 3)
    assert wrong.details["wrong"] == {"refuted": 3, "refined": 1}
    assert wrong.details["right"] == {"confirmed": 1, "refuted": 1, "undecided": 1}
    precisions = [told["precision"] for told in wrong.details["hypotheses"]]
    assert precisions == [1, 1, 0, 3 / 10, 2 / 5, 1 / 2, 1, 0, None]
    assert wrong.trivial == UNDEFINED
    json.dumps(wrong.details)


def test_a_weak_branch_is_not_what_a_hypothesis_says() -> None:
    graded = Rule((Branch(TokenIn(("a",)), 0.9), Branch(TokenIn(("c", "d")), 0.3)))
    told = {"statement": "a", "status": "refuted", "polarity": "active", "rule": graded.to_json()}
    *_, right = audited(told)
    assert (right.value, right.n) == (1.0, 1)


def test_no_wrong_or_no_right_hypothesis_is_null() -> None:
    wrong, confirmed, right = audited(HYPOTHESES[0])
    assert confirmed.value is None
    assert wrong.value is None
    assert wrong.reason == "no hypothesis was wrong"
    assert (right.value, right.low) == (0.0, None)
    wrong, confirmed, right = audited({**HYPOTHESES[2], "status": "confirmed"})
    assert right.value is None
    assert (wrong.value, confirmed.value) == (0.0, 1.0)


def test_only_the_investigation_has_verdicts() -> None:
    with pytest.raises(Unscorable, match="only the investigation"):
        VERDICT_AUDIT.score(exam(rule("a")), candidate(rule("a"), "one_shot"), RULE_JUDGE)
    with pytest.raises(Unscorable, match="not known"):
        VERDICT_AUDIT.score(exam(None, HYPOTHESES), candidate(rule("a")), RULE_JUDGE)


FEATURES = {"append": 1, "exception handling": 4, "not after is": 28}


@pytest.fixture(scope="module")
def planted_run(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Score, Score]]:
    """Planted features explained through the graph: each one's scores by explained feature."""
    config = parse_config(
        {
            "subject": {"factory": "evaluation.planted:planted_subject"},
            "corpus": {"source": "python-stdlib", "max_tokens": 40_000},
            "features": list(FEATURES.values()),
            "database": str(tmp_path_factory.mktemp("planted") / "run.duckdb"),
        }
    )
    with open_database(config.database, create=True) as database:
        run = RunStore(database).open(config)
        with ProgressReporter(Console(quiet=True)) as reporter:
            finish_run(database, run, reporter)
        subject = open_subject(config.subject)
        known = truths(subject, config.subject)
        corpus = measure(subject, held_out_sample(database, run, subject), [*FEATURES.values()])
        scores: dict[int, Any] = {}
        for feature, made in agentic_candidates(database, run).items():
            held = Exam(
                feature=feature,
                scale=1.0,
                held_out=corpus.feature("evaluate", feature),
                table={},
                subject=subject,
                seed=0,
                truth=known[feature],
                hypotheses=Findings(database).hypotheses(run, feature),
            )
            audit = VERDICT_AUDIT.score(held, made, RULE_JUDGE)
            wrong = RECOVERED.score(held, candidate(rule(" return", ".")), RULE_JUDGE)
            scores[feature] = (RECOVERED.score(held, made, RULE_JUDGE), wrong, audit)
    return scores


def test_an_investigation_recovers_what_was_planted(planted_run: Any) -> None:
    for feature in FEATURES.values():
        (f1, r), (wrong_f1, wrong_r), (wrong, _, right) = planted_run[feature]
        assert f1.value >= 0.95
        assert r.value >= 0.95
        assert wrong_f1.value < 0.1
        assert abs(wrong_r.value) < 0.1
        assert len(wrong.details["hypotheses"]) >= 4
        assert right.n >= 1
