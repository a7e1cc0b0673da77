"""The symbolic policy with a part taken away: what is left out, and nothing else."""

from __future__ import annotations

from evaluation.ablations import PositivesOnly, Unexplored
from graphs.policies.symbolic import SymbolicPolicy
from graphs.records import Trial
from tests.test_symbolic import case_of, dossier_of, hypothesis


def trials_of(policy: SymbolicPolicy) -> list[Trial]:
    designs = policy.design_experiments(dossier_of("single token"), case_of(hypothesis()), 200)
    return [trial for design in designs for trial in design.trials]


def test_positives_only_leaves_out_what_should_stay_silent() -> None:
    full = trials_of(SymbolicPolicy())
    assert {trial.predicted for trial in full} == {"active", "inactive"}
    assert trials_of(PositivesOnly()) == [trial for trial in full if trial.predicted == "active"]


def test_unexplored_leaves_out_the_probes_and_keeps_the_tests() -> None:
    full, tests = trials_of(SymbolicPolicy()), trials_of(Unexplored())
    assert tests
    assert len(full) > 2 * len(tests)
    assert set(tests) < set(full)
