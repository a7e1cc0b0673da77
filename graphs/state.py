"""The state of one feature's investigation, and how updates to it are merged."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Annotated, Protocol, TypedDict, TypeVar

from graphs.records import (
    Experiment,
    Explanation,
    FeatureScale,
    FeatureStatus,
    ForkedFrom,
    Hypothesis,
    Observation,
)


class Identified(Protocol):
    """A record with an id."""

    @property
    def id(self) -> str:
        """Unique within a feature."""
        ...


R = TypeVar("R", bound=Identified)


def merge_by_id(old: Sequence[R], new: Iterable[R]) -> list[R]:
    """Put each new record in the place of the old one of the same id, or at the end."""
    merged = {record.id: record for record in old}
    merged.update((record.id, record) for record in new)
    return list(merged.values())


class ExplainState(TypedDict):
    """What the checkpoints keep of one feature; small frozen records only."""

    run: str
    feature: int
    status: FeatureStatus
    scale: FeatureScale | None
    hypotheses: Annotated[list[Hypothesis], merge_by_id]
    experiments: Annotated[list[Experiment], merge_by_id]
    observations: Annotated[list[Observation], merge_by_id]
    requests: tuple[str, ...]
    """Decided hypotheses that a review wants tested further."""
    round: int
    reviews: int
    forward_passes: Annotated[int, operator.add]
    seconds: Annotated[float, operator.add]
    """Time spent in nodes, whichever process ran them."""
    stopped: str
    """Which budget of language-model calls ended the investigation early; empty for none."""
    explanation: Explanation | None
    forked_from: ForkedFrom | None
    """Of a fork: where it began."""


class StateUpdate(TypedDict, total=False):
    """What a node gives back: the keys that it changes."""

    status: FeatureStatus
    scale: FeatureScale
    hypotheses: list[Hypothesis]
    experiments: list[Experiment]
    observations: list[Observation]
    requests: tuple[str, ...]
    round: int
    reviews: int
    forward_passes: int
    seconds: float
    stopped: str
    explanation: Explanation


def initial_state(run: str, feature: int) -> ExplainState:
    """The state before the first node; fills every key."""
    return ExplainState(
        run=run,
        feature=feature,
        status="running",
        scale=None,
        hypotheses=[],
        experiments=[],
        observations=[],
        requests=(),
        round=0,
        reviews=0,
        forward_passes=0,
        seconds=0.0,
        stopped="",
        explanation=None,
        forked_from=None,
    )


def open_hypotheses(state: ExplainState) -> list[Hypothesis]:
    """Those to be tested now: pending ones, and those a review asked about."""
    return [h for h in state["hypotheses"] if h.status == "pending" or h.id in state["requests"]]


def unmeasured(state: ExplainState) -> list[Experiment]:
    """Experiments that no observation tells of yet."""
    measured = {observation.experiment for observation in state["observations"]}
    return [e for e in state["experiments"] if e.id not in measured]
