"""Scoring from Python: `saesage.evaluate`."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.evaluate import Outcome, Request, evaluate_run
from evaluation.storage import open_scores
from graphs.notebook.following import Unheard
from graphs.notebook.views import Results
from graphs.runs import RunStore


def evaluate(
    results: Results, metrics: Sequence[str] = (), baselines: Sequence[str] = ()
) -> Outcome:
    """Score a run and its baselines on text that none of them has seen, by judge `rule`.

    Scores go into the run's database, table `scores`; what is there already is not computed again.

    Args:
        results: as `saesage.explain` gives them.
        metrics: such as `["predictive_balanced"]`; the judge's own defaults if not given.
        baselines: such as `["one_shot"]`, or `["none"]`; all built-in ones if not given.

    Raises:
        SaesageError: the run cannot be scored, or the request names what there is not.
    """
    with open_scores(results.database) as database:
        run = RunStore(database).named(results.run)
        return evaluate_run(database, run, Request(metrics, baselines), Unheard())
