"""Read what the corpus says of the feature; stop here when it says too little."""

from __future__ import annotations

from langgraph.runtime import Runtime

from graphs.context import ExplainContext
from graphs.records import FeatureScale, FeatureStatus
from graphs.state import ExplainState, StateUpdate
from tools.exemplars import FeatureStatistics

MIN_ACTIVE_WINDOWS = 4
"""Fewer windows that fire on the propose split, and rivals cannot be told from chance."""


def gather_exemplars(state: ExplainState, runtime: Runtime[ExplainContext]) -> StateUpdate:
    """Take the feature's scale and counts from the harvest."""
    statistics = runtime.context.source.statistics(state["feature"])
    return {
        "status": _status(statistics),
        "scale": FeatureScale(
            scale=statistics.scale,
            n_tokens=statistics.n_tokens,
            n_active_tokens=statistics.n_active_tokens,
            n_active_windows=statistics.n_active_windows,
        ),
    }


def _status(statistics: FeatureStatistics) -> FeatureStatus:
    if statistics.n_active_tokens == 0:
        return "dead"
    return "too_rare" if statistics.n_active_windows < MIN_ACTIVE_WINDOWS else "running"
