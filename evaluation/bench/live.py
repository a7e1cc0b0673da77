"""The live page: how soon it answers a probe while the same process explains features."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

from evaluation.bench.rows import BenchRow
from graphs.config_file import load_config
from graphs.live.page_server import LivePage, live_page
from graphs.live.server import bound
from graphs.run import finish_run
from graphs.runs import Run, RunStore
from graphs.storage import open_database

CONFIG = Path(__file__).parents[2] / "graphs" / "configs" / "quickstart.yaml"
FEATURES = 60
"""More than are explained while the probes are sent."""
PROBES = 30
TARGET = 300.0


def live_rows() -> list[BenchRow]:
    """Probes of another process, over HTTP, during a run of the demo subject."""
    with tempfile.TemporaryDirectory() as folder:
        database_path = str(Path(folder) / "bench.duckdb")
        config = load_config(CONFIG, features=f"random:{FEATURES}", database=database_path)
        with (
            open_database(config.database, create=True) as database,
            closing(bound(0)) as listening,
            live_page(database, listening) as page,
        ):
            run, going = RunStore(database).open(config), _Going()
            worker = threading.Thread(
                target=_explain, args=(page, run, going), name="run", daemon=True
            )
            worker.start()
            going.begun.wait()
            took = _probes(page, run)
            assert worker.is_alive(), "the run ended before the probes did"
            going.enough.set()
            worker.join()
    name = f"live page, {PROBES} probes while a run is in progress"
    return [
        BenchRow(f"{name}: median", statistics.median(took), TARGET, "ms"),
        BenchRow(f"{name}: worst", max(took), TARGET, "ms"),
    ]


class _Going:
    """A Reporter that says when the first feature begins, and ends the run when asked to."""

    def __init__(self) -> None:
        self.begun, self.enough = threading.Event(), threading.Event()

    def stage(self, message: str) -> None:
        """Nothing to say."""

    def harvest(self, done: int, total: int) -> None:
        """Nothing to say."""

    def features(self, done: int, total: int) -> None:
        """Nothing to say."""

    def step(self, feature: int, node: str) -> None:
        """Say that features are being explained, or stop."""
        if self.enough.is_set():
            raise KeyboardInterrupt
        if node == "run_experiments":
            self.begun.set()


def _explain(page: LivePage, run: Run, going: _Going) -> None:
    workshop = page.workshop
    try:
        finish_run(workshop.database, run, page.hearing(going), instruments=workshop.instruments)
    except KeyboardInterrupt:
        return


def _probes(page: LivePage, run: Run) -> list[float]:
    """Milliseconds that each probe took, sent by another process as a browser's would be."""
    client = [sys.executable, "-m", "evaluation.bench.live_client"]
    arguments = [str(page.port), page.token, run.name, str(PROBES)]
    done = subprocess.run([*client, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)
