"""A feature as one of its checkpoints had it, in the rows that `Findings` gives of the newest."""

from __future__ import annotations

import json
from typing import Any

from graphs.findings import Findings, Row, Snapshot
from graphs.projection import thread_of
from graphs.records import Explanation, FeatureScale
from graphs.runs import Run
from graphs.state import ExplainState
from graphs.steering.checkpoints import find_checkpoint
from graphs.steering.moments import moment
from tools.database import Database

_MEASURED = {"tokens", "activations", "max_activation", "normalized", "outcome", "supports"}


def snapshot(database: Database, run: Run, feature: int, at: str) -> Snapshot:
    """The feature as it was when a checkpoint was stored: a step of the history, or an id.

    Raises:
        RunNotFound, CheckpointNotFound: there is no such feature or checkpoint.
    """
    row = Findings(database).feature(run, feature)
    thread = thread_of(run.name, feature)
    state = moment(database, thread, find_checkpoint(database, thread, at)).state
    measured = {o.experiment: o for o in state["observations"]}
    experiments: list[Row] = []
    for experiment in state["experiments"]:
        found = measured.get(experiment.id)
        seen = dict.fromkeys(_MEASURED) if found is None else found.model_dump(include=_MEASURED)
        seen["observation"] = None if found is None else found.id
        experiments.append({**experiment.model_dump(), **seen})
    hypotheses = [h.model_dump() for h in state["hypotheses"]]
    return Snapshot({**row, **_progress(state), **_explanation(state)}, hypotheses, experiments)


def _progress(state: ExplainState) -> dict[str, Any]:
    counts = ("status", "round", "reviews", "forward_passes", "seconds", "stopped")
    scale = state["scale"]
    measured = dict.fromkeys(FeatureScale.model_fields) if scale is None else scale.model_dump()
    return {
        "failure": None,
        "n_experiments": len(state["experiments"]),
        **{name: state[name] for name in counts},
        **measured,
    }


def _explanation(state: ExplainState) -> dict[str, Any]:
    explanation = state["explanation"]
    if explanation is None:
        return dict.fromkeys(Explanation.model_fields)
    found = explanation.model_dump(mode="json")
    rule = found["rule"]
    return {
        **found,
        "claims": json.dumps(found["claims"], ensure_ascii=False),
        "rule": None if rule is None else json.dumps(rule, ensure_ascii=False),
    }
