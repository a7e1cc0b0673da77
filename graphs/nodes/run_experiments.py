"""Put every text of the round through model and SAE, in one batch."""

from __future__ import annotations

from langgraph.runtime import Runtime

from graphs.context import ExplainContext
from graphs.policies.protocols import Thresholds
from graphs.records import Experiment, FeatureScale, Observation
from graphs.state import ExplainState, StateUpdate, unmeasured
from graphs.verdicts import outcome_of, supports
from tools.activations import TextActivations


def run_experiments(state: ExplainState, runtime: Runtime[ExplainContext]) -> StateUpdate:
    """Measure the experiments that have no observation yet; a repeated text is run once."""
    scale = state["scale"]
    assert scale is not None, "gather_exemplars comes first"
    experiments = unmeasured(state)
    if not experiments:
        return {"observations": []}
    texts = list(dict.fromkeys(e.text for e in experiments))
    results = runtime.context.subject.activations(texts, [state["feature"]])
    by_text = dict(zip(texts, results, strict=True))
    thresholds = runtime.context.thresholds
    return {
        "observations": [_observe(e, by_text[e.text], scale, thresholds) for e in experiments],
        "forward_passes": 1,
    }


def _observe(
    experiment: Experiment, measured: TextActivations, scale: FeatureScale, thresholds: Thresholds
) -> Observation:
    activations = measured.activations[:, 0]
    maximum = float(activations.max())
    normalized = maximum / scale.scale
    outcome = outcome_of(normalized, thresholds)
    return Observation(
        id=f"O{experiment.id[1:]}",
        experiment=experiment.id,
        hypothesis=experiment.hypothesis,
        tokens=measured.tokens,
        activations=tuple(float(a) for a in activations),
        max_activation=maximum,
        normalized=normalized,
        outcome=outcome,
        supports=supports(experiment.predicted, outcome),
    )
