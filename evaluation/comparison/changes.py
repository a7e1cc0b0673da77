"""The features on which the investigation did best and worst beside a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evaluation.agentic import AGENTIC
from evaluation.comparison.standings import Row, values

HEADLINE = ("predictive_balanced", "generative_auroc", "detection_auc")
"""Metrics by which features are said to have gained or lost; the first that was scored is taken."""
MOST_LISTED = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One feature's score beside a baseline's."""

    feature: int
    ours: float
    theirs: float
    description: str | None

    @property
    def gain(self) -> float:
        """How much better the investigation did."""
        return self.ours - self.theirs


def changes(rows: Sequence[Row]) -> tuple[list[Change], str]:
    """The investigation's gain on each feature, on the headline metric, over the one-shot."""
    for metric in HEADLINE:
        scored = [row for row in rows if row["metric"] == metric]
        for judge in dict.fromkeys(row["judge"] for row in scored):
            mine = [row for row in scored if row["judge"] == judge]
            others = sorted({row["explainer"] for row in mine} - {AGENTIC}, key=_one_shot_first)
            if others and any(row["explainer"] == AGENTIC for row in mine):
                changes = _against(mine, others[0])
                return changes, f"{metric} ({judge}), against {others[0]}"
    return [], ""


def most(changes: Iterable[Change]) -> list[Change]:
    """The largest first."""
    return sorted(changes, key=lambda each: -abs(each.gain))[:MOST_LISTED]


def _one_shot_first(explainer: str) -> tuple[bool, str]:
    return (explainer != "one_shot", explainer)


def _against(rows: Sequence[Row], baseline: str) -> list[Change]:
    theirs = values(row for row in rows if row["explainer"] == baseline)
    mine = [row for row in rows if row["explainer"] == AGENTIC]
    ours, told = values(mine), {row["feature"]: row["description"] for row in mine}
    return [
        Change(feature, ours[feature], theirs[feature], told[feature])
        for feature in ours
        if feature in theirs
    ]
