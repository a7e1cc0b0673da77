"""Verdicts follow the method's rules, and nothing but the measurements."""

from __future__ import annotations

import pytest

from graphs.policies.protocols import Thresholds
from graphs.records import Experiment, Hypothesis, Observation
from graphs.verdicts import Tally, confidence, judge, outcome_of, supports, verdict


def counts(
    active_held: int = 0,
    active_failed: int = 0,
    inactive_held: int = 0,
    inactive_failed: int = 0,
    inconclusive: int = 0,
    strong: int = 0,
) -> Tally:
    cells = (active_held, active_failed, inactive_held, inactive_failed)
    return Tally(*cells, active_unclear=inconclusive, inactive_unclear=0, strong=strong)


@pytest.mark.parametrize(
    ("tally", "status"),
    [
        (counts(), "pending"),
        (counts(active_held=1), "pending"),
        (counts(active_failed=1), "pending"),
        (counts(inconclusive=1), "pending"),
        (counts(active_held=2), "confirmed"),
        (counts(active_held=1, strong=1, inactive_held=1), "confirmed"),
        (counts(active_failed=2), "refuted"),
        (counts(active_failed=1, inactive_failed=1), "refuted"),
        (counts(active_held=1, active_failed=1), "refined"),
        (counts(inconclusive=2), "refined"),
        (counts(active_held=1, inconclusive=1), "refined"),
        # Both sides have two or more: the balanced share of predictions that held decides.
        (counts(active_held=9, active_failed=2, inactive_held=8, strong=5), "confirmed"),
        (counts(active_failed=6, inactive_held=20), "refuted"),
        (counts(active_held=20, inactive_failed=6), "refuted"),
        (counts(active_held=6, active_failed=4, inactive_held=6, inactive_failed=2), "refined"),
    ],
)
def test_verdict(tally: Tally, status: str) -> None:
    assert verdict(tally) == status


def test_silence_alone_does_not_show_what_fires() -> None:
    assert verdict(counts(inactive_held=9), "active") == "refined"
    assert verdict(counts(active_held=1, active_failed=1, inactive_held=9), "active") == "refined"
    assert verdict(counts(active_held=4, active_failed=4, inactive_held=8), "active") == "refined"
    assert verdict(counts(active_held=2, active_failed=1), "active") == "confirmed"
    assert verdict(counts(inactive_held=2), "inactive") == "confirmed"
    assert verdict(counts(active_held=9), "inactive") == "refined"


def test_after_two_results_nothing_stays_pending() -> None:
    for held in range(3):
        for failed in range(3):
            for unclear in range(3):
                if held + failed + unclear >= 2:
                    tally = counts(active_held=held, active_failed=failed, inconclusive=unclear)
                    assert verdict(tally) != "pending"


def test_outcomes_are_relative_to_the_thresholds() -> None:
    thresholds = Thresholds(active=0.5, inactive=0.1)
    assert outcome_of(0.5, thresholds) == "active"
    assert outcome_of(0.1, thresholds) == "inactive"
    assert outcome_of(0.3, thresholds) == "inconclusive"
    assert supports("active", "active") is True
    assert supports("active", "inactive") is False
    assert supports("inactive", "inconclusive") is None


def test_judge_sorts_only_the_hypothesis_own_observations() -> None:
    hypothesis = Hypothesis(id="H1", statement="fires on cats", round=0)
    experiments = [experiment("E1.1", "H1"), experiment("E1.2", "H1"), experiment("E2.1", "H2")]
    observations = [
        observation("O1.1", "E1.1", "H1", 1.0),
        observation("O1.2", "E1.2", "H1", 0.0),
        observation("O2.1", "E2.1", "H2", 0.0),
    ]
    judged = judge(hypothesis, experiments, observations, Thresholds())
    assert judged.supporting == ("O1.1",)
    assert judged.contradicting == ("O1.2",)
    assert judged.status == "refined"
    assert "1/2 predicted active" in judged.reason


def test_confidence_grows_with_tests_that_hold_and_falls_with_those_that_fail() -> None:
    few = confidence(counts(active_held=2, inactive_held=2)).value
    many = confidence(counts(active_held=20, inactive_held=20)).value
    mixed = confidence(counts(active_held=20, active_failed=20, inactive_held=20)).value
    assert 0.5 < few < many < 1
    assert mixed < many
    unclear = confidence(counts(active_held=20, inactive_held=20, inconclusive=20)).value
    assert unclear == mixed
    assert confidence(counts()).value is None
    # By hand: ((2 + 1) / (2 + 2) + (2 + 1) / (2 + 2)) / 2
    assert few == pytest.approx(0.75)


def experiment(id: str, hypothesis: str) -> Experiment:
    return Experiment(
        id=id,
        design=id.split(".")[0],
        hypothesis=hypothesis,
        kind="positive",
        text="a cat",
        predicted="active",
        purpose="",
        round=1,
    )


def observation(id: str, experiment: str, hypothesis: str, normalized: float) -> Observation:
    outcome = outcome_of(normalized, Thresholds())
    return Observation(
        id=id,
        experiment=experiment,
        hypothesis=hypothesis,
        tokens=("a", " cat"),
        activations=(0.0, normalized),
        max_activation=normalized,
        normalized=normalized,
        outcome=outcome,
        supports=supports("active", outcome),
    )
