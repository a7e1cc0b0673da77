"""Figures that no single metric gives: medians, sizes of rules, and what explaining took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from evaluation.agentic import AGENTIC
from evaluation.comparison.standings import values
from evaluation.results.summary import Result
from evaluation.scores import ScoreStore
from evaluation.statistics import estimate, mean_of
from graphs.runs import Run
from tools.database import Database

BALANCED = "predictive_balanced"
UNIGRAM, BIGRAM = "unigram_table", "bigram_table"
CONTEXT = 0.8
"""Features on which the token table stays under this r need more than the token itself."""

MEDIAN = f"{BALANCED}, median"
IN_CONTEXT = f"{BALANCED}, needing context"
LISTED_MEDIAN, LISTED_MOST = "tokens listed, median", "tokens listed, maximum"
WORDS_MOST = "words of a description, maximum"
FORWARD_MEDIAN = "forward tokens of experiments, median"
SECONDS, GIBIBYTES = "seconds to explain", "GiB resident"


Number = tuple[float, None, None, int]
"""A figure of a whole run, without an interval, and of how many features it is."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What explaining a run's features took."""

    seconds: float
    gibibytes: float
    """The most memory that the process held meanwhile."""


def further_figures(database: Database, run: Run, subject: str, effort: Effort) -> list[Result]:
    """Rows about a scored run beyond those of `results_of`.

    Args:
        database: with the run and its scores.
        run: which one.
        subject: its name in the results.
        effort: what explaining it took.
    """
    found = {**_sizes(database, run), **_costs(database, run, effort)}
    numbers = [Result(subject, AGENTIC, name, *number) for name, number in found.items()]
    return [*_accuracy(database, run, subject), *numbers]


def listed(rule: Any) -> set[str]:
    """The different tokens and words that a rule's JSON lists."""
    if isinstance(rule, Mapping):
        fields = cast("Mapping[str, Any]", rule)
        own = {text for key in ("tokens", "words") for text in fields.get(key, ())}
        return own.union(*map(listed, fields.values()))
    parts = cast("list[Any]", rule) if isinstance(rule, list) else []
    return set[str]().union(*map(listed, parts))


def _accuracy(database: Database, run: Run, subject: str) -> list[Result]:
    """Medians, and means over the features that need context."""
    records = [r for r in ScoreStore(database, run.name).records() if r["metric"] == BALANCED]
    by_name = {
        name: values(record for record in records if record["explainer"] == name)
        for name in (AGENTIC, UNIGRAM, BIGRAM)
    }
    needing = {feature for feature, r in by_name[UNIGRAM].items() if r < CONTEXT}
    rows: list[Result] = []
    for name, scores in by_name.items():
        if scores:
            median = float(np.median(list(scores.values())))
            rows.append(Result(subject, name, MEDIAN, median, None, None, len(scores)))
        if chosen := [r for feature, r in scores.items() if feature in needing]:
            mean = estimate(mean_of(chosen), len(chosen), run.config.seed, "no feature has a score")
            rows.append(
                Result(subject, name, IN_CONTEXT, mean.value, mean.low, mean.high, len(chosen))
            )
    return rows


def _sizes(database: Database, run: Run) -> dict[str, Number]:
    """Tokens that rules list and words of descriptions, with how many there are."""
    rows = database.rows("SELECT rule, description FROM explanations WHERE run = ?", [run.name])
    lists = [len(listed(json.loads(rule))) for rule, _ in rows if rule is not None]
    words = [len(description.split()) for _, description in rows]
    return {
        LISTED_MEDIAN: (float(np.median(lists)), None, None, len(lists)),
        LISTED_MOST: (float(max(lists)), None, None, len(lists)),
        WORDS_MOST: (float(max(words)), None, None, len(words)),
    }


def _costs(database: Database, run: Run, effort: Effort) -> dict[str, Number]:
    tokens = database.rows(
        "SELECT sum(len(tokens)) FROM observations WHERE run = ? GROUP BY feature", [run.name]
    )
    n_features = len(tokens)
    return {
        FORWARD_MEDIAN: (float(np.median(tokens)), None, None, n_features),
        SECONDS: (effort.seconds, None, None, n_features),
        GIBIBYTES: (effort.gibibytes, None, None, n_features),
    }
