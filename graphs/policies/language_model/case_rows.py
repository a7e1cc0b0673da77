"""What an investigation has found so far, as rows for a prompt: hypotheses and results."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import chain, zip_longest

import numpy as np

from graphs.policies.language_model.exhibits import MARKED, excerpt
from graphs.policies.language_model.words import clean
from graphs.policies.protocols import Case, Dossier
from graphs.records import Experiment, Hypothesis, Observation
from tools.llm.data_blocks import Row, fitting
from tools.rules import rule_from_json


def hypothesis_rows(
    hypotheses: Iterable[Hypothesis], *, open: Collection[str] = (), notes: bool = True
) -> list[Row]:
    """Hypotheses with their status and counts.

    Args:
        hypotheses: in the order to be shown.
        open: ids of those that the question is about.
        notes: whether to show what was found out before any experiment.
    """
    return [
        {
            "id": h.id,
            "polarity": h.polarity,
            "status": h.status,
            "statement": clean(h.statement, 220),
            "rule": _said(h),
            "note": clean(h.note, 140) if notes else "",
            "results": clean(h.reason, 120),
            "open": h.id in open,
        }
        for h in hypotheses
    ]


def _said(hypothesis: Hypothesis) -> str | None:
    if hypothesis.rule is None:
        return None
    return clean(rule_from_json(hypothesis.rule).sentence(), 160)


def result_rows(
    dossier: Dossier, case: Case, observations: Iterable[Observation], most: int, longest: int
) -> list[Row]:
    """Results, as many as fit, those of one hypothesis together.

    Args:
        dossier: what is known of the feature.
        case: what was tested.
        observations: those that tell most first.
        most: characters of all rows together.
        longest: characters of one text, as it is written in JSON.
    """
    experiments = {experiment.id: experiment for experiment in case.experiments}
    rows = (_result_row(dossier, o, experiments[o.experiment], longest) for o in observations)
    chosen = fitting(rows, most)
    order = list(dict.fromkeys(row["hypothesis"] for row in chosen))
    return sorted(chosen, key=lambda row: order.index(row["hypothesis"]))


def _result_row(
    dossier: Dossier, observation: Observation, experiment: Experiment, longest: int
) -> Row:
    activations = np.asarray(observation.activations) / dossier.statistics.scale
    silent = activations.max() < MARKED
    centre = len(activations) // 2 if silent else int(np.argmax(activations))
    return {
        "id": observation.id,
        "hypothesis": observation.hypothesis,
        "kind": experiment.kind,
        "predicted": experiment.predicted,
        "outcome": observation.outcome,
        "max": round(observation.normalized, 2),
        "text": excerpt(observation.tokens, activations, centre, longest, reach=len(activations)),
    }


def most_telling(case: Case, hypotheses: Iterable[Hypothesis]) -> list[Observation]:
    """Results of hypotheses in turn, of each those that tell most first."""
    return _in_turn([_ranked(hypothesis, case.observations) for hypothesis in hypotheses])


def _ranked(hypothesis: Hypothesis, observations: Iterable[Observation]) -> list[Observation]:
    """In turn what held of what it says, what held of what it does not, and what did not hold."""
    own = sorted(
        (o for o in observations if o.hypothesis == hypothesis.id), key=lambda o: -o.normalized
    )
    held = [o for o in own if o.supports and o.outcome == hypothesis.polarity]
    controls = [o for o in own if o.supports and o.outcome != hypothesis.polarity]
    return _in_turn([held, [o for o in own if not o.supports], controls])


def _in_turn(groups: Sequence[Sequence[Observation]]) -> list[Observation]:
    return [o for o in chain.from_iterable(zip_longest(*groups)) if o is not None]
