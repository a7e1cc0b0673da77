"""Evidence in words: what fired and what did not, with the measured numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphs.policies.protocols import Case, Dossier
from graphs.records import Hypothesis, Interpretation, Observation
from tools.rules import listing, visible

_SHOWN = 4


def analyze_evidence(dossier: Dossier, case: Case) -> list[Interpretation]:
    """What the results say of each open hypothesis."""
    return [
        Interpretation(hypothesis=id, text=_text(case, case.hypothesis(id))) for id in case.open
    ]


def _text(case: Case, hypothesis: Hypothesis) -> str:
    own = [o for o in case.observations if o.hypothesis == hypothesis.id]
    parts = [
        _said("As predicted, fired on", [o for o in own if o.supports and o.outcome == "active"]),
        _said("As predicted, silent", [o for o in own if o.supports and o.outcome == "inactive"]),
        _said("Against it, fired on", [o for o in own if _against(o) and o.outcome == "active"]),
        _said("Against it, silent", [o for o in own if _against(o) and o.outcome == "inactive"]),
        _said("Undecided", [o for o in own if o.supports is None]),
    ]
    return " ".join(filter(None, parts)) or "Nothing was measured for it."


def _against(observation: Observation) -> bool:
    return observation.supports is False


def _said(lead: str, observations: Sequence[Observation]) -> str:
    if not observations:
        return ""
    ordered = sorted(observations, key=lambda o: -o.normalized)
    return f"{lead}: {listing([where(o) for o in ordered], limit=_SHOWN)}."


def where(observation: Observation) -> str:
    """The loudest token of a text, where it stands, and how loud: `' import' in '...' (0.91)`."""
    peak = int(np.argmax(observation.activations))
    around = "".join(observation.tokens[max(0, peak - 5) : peak + 1])
    if observation.normalized <= 0:
        ending = "".join(observation.tokens[-6:])
        return f"a text ending in {visible(ending)} ({observation.normalized:.2f})"
    token = visible(observation.tokens[peak])
    return f"{token} in {visible(around)} ({observation.normalized:.2f})"
