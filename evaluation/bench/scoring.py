"""What scoring explained features costs beside explaining them, and a report of them."""

from __future__ import annotations

import time

from rich.console import Console

from evaluation.bench.page import page_rows
from evaluation.bench.rows import BenchRow
from evaluation.evaluate import Request, evaluate_run
from evaluation.scores import SCORE_DDL
from graphs.runs import Run
from graphs.terminal.progress import ProgressReporter
from tools.database import Database, initialise


def scoring_rows(database: Database, run: Run, explained_in: float) -> list[BenchRow]:
    """Wall time of scoring a run's features, all metrics and baselines, and of a report.

    Args:
        database: with the run.
        run: finished.
        explained_in: seconds that explaining its features took; scoring loads the model and
            measures the corpus besides.
    """
    initialise(database, SCORE_DDL)
    start = time.perf_counter()
    with ProgressReporter(Console(stderr=True)) as reporter:
        outcome = evaluate_run(database, run, Request(), reporter)
    share = (time.perf_counter() - start) / explained_in
    name = f"scoring {outcome.scored} features, all offline metrics / explaining them"
    return [BenchRow(name, share, 1.0, "of wall"), *page_rows(database, outcome.scored)]
