"""Every scorer by name, and which ones are used unless somebody says otherwise."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from evaluation.scorers.detection import DETECTION
from evaluation.scorers.fade import FADE
from evaluation.scorers.fuzzing import FUZZING
from evaluation.scorers.generative import GENERATIVE
from evaluation.scorers.input_metric import INPUT_METRIC
from evaluation.scorers.predictive import BALANCED, SAGE, SAGE_PER_TOKEN
from evaluation.scorers.recovered import RECOVERED
from evaluation.scorers.saebench import SAEBENCH
from evaluation.scorers.scorer import Scorer
from evaluation.scorers.verdict_audit import VERDICT_AUDIT
from tools.errors import ConfigError

SCORERS: Mapping[str, Scorer] = {
    "generative": GENERATIVE,
    "predictive_sage": SAGE,
    "predictive_balanced": BALANCED,
    "predictive_sage_per_token": SAGE_PER_TOKEN,
    "detection": DETECTION,
    "fuzzing": FUZZING,
    "saebench": SAEBENCH,
    "fade": FADE,
    "input_metric": INPUT_METRIC,
    "recovered": RECOVERED,
    "verdicts": VERDICT_AUDIT,
}
"""By the name that `--metrics` takes; each gives one or more metrics."""

METRICS: tuple[str, ...] = tuple(metric for scorer in SCORERS.values() for metric in scorer.metrics)
"""Every metric, in the order of the tables."""

LOWER_IS_BETTER = frozenset({"generative_negatives", "wrong_confirmed", "right_refuted"})

NEEDS_TRUTH = ("recovered", "verdicts")
"""For planted features alone."""

_OFFLINE = tuple(name for name in SCORERS if name != "predictive_sage_per_token")
"""A rule predicts the same token by token."""

_ASKED = ("generative", "predictive_sage", "predictive_balanced", "detection", "saebench")
"""What a language model is asked for by default: about 45 calls an explanation."""

DEFAULTS: Mapping[str, Sequence[str]] = {"rule": _OFFLINE, "language_model": _ASKED}
"""Names of scorers by judge."""

GROUPS: Mapping[str, Sequence[str]] = {"predictive": ("predictive_sage", "predictive_balanced")}
"""Names that stand for several."""


def scorers_named(names: Sequence[str]) -> list[str]:
    """Names of scorers: groups and single metrics resolved, each once, in the tables' order.

    Raises:
        ConfigError: a name is unknown.
    """
    wanted: set[str] = set()
    for name in names:
        holders = [key for key, scorer in SCORERS.items() if name in scorer.metrics]
        found = GROUPS.get(name) or ([name] if name in SCORERS else holders)
        if not found:
            raise ConfigError(f"--metrics: unknown metric {name!r}{_nearest(name)}")
        wanted.update(found)
    return [name for name in SCORERS if name in wanted]


def _nearest(name: str) -> str:
    known = (*SCORERS, *GROUPS, *METRICS)
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else f"; known: {', '.join(SCORERS)}"
