"""What explanations without a language model are held to, beside what was reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.agentic import AGENTIC
from evaluation.results import further
from evaluation.results.summary import LEAST_RECOVERED, RECOVERED

Row = Mapping[str, Any]
Key = tuple[str, str, str]
"""Subject, explainer and metric of a row."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure and where it is to be."""

    words: str
    key: Key
    target: float | Key
    """A number, or the row that it is to reach."""
    at_most: bool = False
    """Whether lower is better."""
    digits: int = 2


def _demo(metric: str, explainer: str = AGENTIC) -> Key:
    return ("demo", explainer, metric)


GOALS: Sequence[Goal] = (
    Goal("predictive accuracy, balanced: median r", _demo(further.MEDIAN), 0.92),
    Goal(
        "the same: mean r, held to the unigram table's",
        _demo(further.BALANCED),
        _demo(further.BALANCED, further.UNIGRAM),
    ),
    Goal(
        "mean r minus one_shot's",
        _demo(further.BALANCED, f"{AGENTIC} - one_shot"),
        0.15,
    ),
    Goal(
        "mean r where the unigram table stays under 0.8, held to the bigram table's",
        _demo(further.IN_CONTEXT),
        _demo(further.IN_CONTEXT, further.BIGRAM),
    ),
    Goal("different tokens that a rule lists: median", _demo(further.LISTED_MEDIAN), 8, True, 1),
    Goal("different tokens that a rule lists: maximum", _demo(further.LISTED_MOST), 40, True, 0),
    Goal("words of a description: maximum", _demo(further.WORDS_MOST), 60, True, 0),
    Goal("generative accuracy", _demo("generative"), 0.9),
    Goal("its negatives' firing rate", _demo("generative_negatives"), 0.1, True),
    Goal("planted features recovered", ("planted", AGENTIC, RECOVERED), 0.95),
    Goal("the same, in the family with the fewest", ("planted", AGENTIC, LEAST_RECOVERED), 0.8),
    Goal("right hypotheses wrongly refuted", ("planted", AGENTIC, "right_refuted"), 0.02, True, 3),
    Goal("experiments' forward tokens: median", _demo(further.FORWARD_MEDIAN), 50_000, True, 0),
    Goal("seconds to explain them all", _demo(further.SECONDS), 600, True, 0),
    Goal("GiB resident at most", _demo(further.GIBIBYTES), 2, True, 1),
)


def reached(rows: Sequence[Row]) -> list[list[str]]:
    """What is told of each goal that there is a row of: figure, value, features, target, met."""
    by_key = {(row["subject"], row["explainer"], row["metric"]): row for row in rows}
    return [_told(goal, by_key) for goal in GOALS if goal.key in by_key]


def _told(goal: Goal, by_key: Mapping[Key, Row]) -> list[str]:
    row, target = by_key[goal.key], _target(goal, by_key)
    value, digits = row["value"], goal.digits
    if value is None or target is None:
        return [goal.words, "-", str(row["n"]), "-", "no"]
    ends = f" [{row['low']:.{digits}f}, {row['high']:.{digits}f}]" if row["low"] is not None else ""
    met = value <= target if goal.at_most else value >= target
    bound = f"{'≤' if goal.at_most else '≥'} {target:.{digits}f}"
    return [goal.words, f"{value:.{digits}f}{ends}", str(row["n"]), bound, "yes" if met else "no"]


def _target(goal: Goal, by_key: Mapping[Key, Row]) -> float | None:
    if isinstance(goal.target, int | float):
        return goal.target
    other = by_key.get(goal.target)
    return None if other is None else other["value"]
