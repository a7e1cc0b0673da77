"""What the report of a run takes, in seconds and in bytes."""

from __future__ import annotations

import time

from evaluation.bench.rows import BenchRow
from graphs.page.report import report_html
from tools.database import Database


def page_rows(database: Database, n_features: int) -> list[BenchRow]:
    """Time and size of a report on a database whose newest run is explained and scored."""
    start = time.perf_counter()
    html = report_html(database)
    seconds = time.perf_counter() - start
    name = f"report of {n_features} features with their scores"
    return [
        BenchRow(f"{name}: time", seconds, 10.0, "s"),
        BenchRow(f"{name}: size", len(html.encode()) / 1e6, 5.0, "MB"),
    ]
