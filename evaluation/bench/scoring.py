"""What scoring costs beside explaining, and a report of it: the demo's features, offline."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from rich.console import Console

from evaluation.bench.page import page_rows
from evaluation.bench.rows import BenchRow
from evaluation.evaluate import Request, evaluate_run
from evaluation.scores import SCORE_DDL
from graphs.config_file import load_config
from graphs.run import finish_run
from graphs.runs import RunStore
from graphs.storage import open_database
from graphs.terminal.progress import ProgressReporter
from tools.database import initialise

CONFIG = Path(__file__).parents[1] / "configs" / "demo.yaml"


def scoring_rows() -> list[BenchRow]:
    """Wall time of scoring the configuration's features, all metrics and baselines, as a share.

    And what a report of them takes. Both parts load the model and measure the corpus themselves.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(CONFIG, database=str(Path(folder) / "bench.duckdb"))
        with (
            open_database(config.database, create=True) as database,
            ProgressReporter(Console(stderr=True)) as reporter,
        ):
            initialise(database, SCORE_DDL)
            run = RunStore(database).open(config)
            start = time.perf_counter()
            finish_run(database, run, reporter)
            explained = time.perf_counter()
            outcome = evaluate_run(database, run, Request(), reporter)
            scored = time.perf_counter()
            reported = page_rows(database, outcome.scored)
    name = f"scoring {outcome.scored} features, all offline metrics / explaining them"
    share = (scored - explained) / (explained - start)
    return [BenchRow(name, share, 1.0, "of wall"), *reported]
