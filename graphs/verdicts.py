"""From measured activations to outcomes, verdicts and confidence: no policy has a say here.

The rules are SAGE's (Han, Xu, Jin, Du; arXiv 2511.20820, and the authors' published code), with
thresholds relative to the feature's own scale in place of absolute activations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from graphs.policies.protocols import Thresholds
from graphs.records import (
    Expectation,
    Experiment,
    Hypothesis,
    HypothesisStatus,
    Observation,
    Outcome,
)

CONFIRMING_SHARE = 0.8
"""Balanced share of predictions that must hold when both sides have two results or more."""
REFUTING_SHARE = 0.5
"""At or below this balanced share, a hypothesis with results on both sides is refuted."""


def outcome_of(normalized: float, thresholds: Thresholds) -> Outcome:
    """What a normalized maximum activation counts as."""
    if normalized >= thresholds.active:
        return "active"
    if normalized <= thresholds.inactive:
        return "inactive"
    return "inconclusive"


def supports(predicted: Expectation, outcome: Outcome) -> bool | None:
    """Whether an outcome is the predicted one; None when it is inconclusive."""
    return None if outcome == "inconclusive" else outcome == predicted


class Tally(NamedTuple):
    """Counts of one hypothesis' results."""

    active_held: int
    """Predicted active, measured active."""
    active_failed: int
    """Predicted active, measured inactive."""
    inactive_held: int
    """Predicted inactive, measured inactive."""
    inactive_failed: int
    """Predicted inactive, measured active."""
    active_unclear: int
    """Predicted active, measured between the thresholds."""
    inactive_unclear: int
    """Predicted inactive, measured between the thresholds."""
    strong: int
    """Of `active_held`, those at or above the strong threshold."""

    @property
    def inconclusive(self) -> int:
        """Results between the thresholds."""
        return self.active_unclear + self.inactive_unclear

    @property
    def made(self) -> int:
        """All predictions."""
        return self.held + self.failed + self.inconclusive

    @property
    def held(self) -> int:
        """Predictions that came true."""
        return self.active_held + self.inactive_held

    @property
    def failed(self) -> int:
        """Predictions that came out the other way."""
        return self.active_failed + self.inactive_failed

    @property
    def balanced_share(self) -> float:
        """Share of predictions that held, mean over the two kinds of prediction made."""
        sides = [
            held / (held + failed)
            for held, failed in (
                (self.active_held, self.active_failed),
                (self.inactive_held, self.inactive_failed),
            )
            if held + failed
        ]
        return sum(sides) / len(sides)

    def __str__(self) -> str:
        """The counts in words."""
        active = f"{self.active_held}/{self.active_held + self.active_failed} predicted active"
        silent = f"{self.inactive_held}/{self.inactive_held + self.inactive_failed} inactive"
        return f"{active} and {silent} held, {self.inconclusive} inconclusive"


def tally(
    observations: Iterable[Observation],
    predictions: Mapping[str, Expectation],
    thresholds: Thresholds,
) -> Tally:
    """Count results; `predictions` maps experiment ids to what was predicted."""
    cells: Counter[tuple[Expectation, bool | None]] = Counter()
    strong = 0
    for observation in observations:
        predicted = predictions[observation.experiment]
        cells[predicted, observation.supports] += 1
        strong += predicted == "active" and observation.normalized >= thresholds.strong
    return Tally(
        active_held=cells["active", True],
        active_failed=cells["active", False],
        inactive_held=cells["inactive", True],
        inactive_failed=cells["inactive", False],
        active_unclear=cells["active", None],
        inactive_unclear=cells["inactive", None],
        strong=strong,
    )


def verdict(counts: Tally, polarity: Expectation = "active") -> HypothesisStatus:
    """The method's rules.

    Confirmed by two results that support, or one strong positive and one negative that held;
    refuted by two that contradict, or a positive that failed and a negative that fired. Where both
    apply, the balanced share of predictions that held decides. Anything else with two results or
    more is to be refined: only with fewer may a hypothesis stay as it was.

    Predictions of the hypothesis' own polarity must hold more often than they fail, or nothing is
    confirmed: texts that stay silent, however many, do not show what a feature fires on.
    """
    own = (
        (counts.active_held, counts.active_failed)
        if polarity == "active"
        else (counts.inactive_held, counts.inactive_failed)
    )
    confirms = counts.held >= 2 or (counts.strong >= 1 and counts.inactive_held >= 1)
    refutes = counts.failed >= 2 or (counts.active_failed >= 1 and counts.inactive_failed >= 1)
    if refutes:
        status = _weigh(counts.balanced_share) if confirms else "refuted"
    elif confirms:
        status = "confirmed"
    else:
        status = "refined" if counts.made >= 2 else "pending"
    return "refined" if status == "confirmed" and own[0] <= own[1] else status


def _weigh(share: float) -> HypothesisStatus:
    if share >= CONFIRMING_SHARE:
        return "confirmed"
    return "refuted" if share <= REFUTING_SHARE else "refined"


def predictions_of(experiments: Iterable[Experiment]) -> dict[str, Expectation]:
    """What was predicted, by experiment id."""
    return {experiment.id: experiment.predicted for experiment in experiments}


def judge(
    hypothesis: Hypothesis,
    experiments: Sequence[Experiment],
    observations: Sequence[Observation],
    thresholds: Thresholds,
) -> Hypothesis:
    """The hypothesis with its evidence sorted and its status as the measurements give it."""
    own = [o for o in observations if o.hypothesis == hypothesis.id]
    counts = tally(own, predictions_of(experiments), thresholds)
    return hypothesis.model_copy(
        update={
            "status": verdict(counts, hypothesis.polarity),
            "supporting": tuple(o.id for o in own if o.supports is True),
            "contradicting": tuple(o.id for o in own if o.supports is False),
            "inconclusive": tuple(o.id for o in own if o.supports is None),
            "reason": str(counts),
        }
    )


class Confidence(NamedTuple):
    """A number in [0, 1] and the counts behind it."""

    value: float | None
    """None where nothing was tested."""
    basis: str


def confidence(counts: Tally) -> Confidence:
    """Mean over the two kinds of prediction of the smoothed share that held.

    Laplace's rule of succession, (held + 1) / (made + 2), keeps few tests from looking certain. An
    inconclusive result counts as made and not held.
    """
    if not counts.made:
        return Confidence(None, "nothing was tested")
    active = counts.active_held + counts.active_failed + counts.active_unclear
    silent = counts.inactive_held + counts.inactive_failed + counts.inactive_unclear
    shares = ((counts.active_held + 1) / (active + 2), (counts.inactive_held + 1) / (silent + 2))
    return Confidence(
        value=sum(shares) / 2,
        basis="mean of (held + 1) / (made + 2) over both kinds of prediction, unclear ones counted "
        f"as made: {counts}",
    )
