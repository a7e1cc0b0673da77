"""A language-model run of the demo subject against a server that answers in 100 ms.

The server is the tests' own, in a process of its own, with the scripted scientist as its brain:
what is measured is saesage's part, not the scientist's.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from evaluation.bench.checkpointing import committing
from evaluation.bench.rows import BenchRow
from graphs.config_file import load_config
from graphs.run import finish_run
from graphs.runs import RunStore
from graphs.storage import open_database
from graphs.terminal.progress import ProgressReporter
from tools.database import Database

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "graphs" / "configs" / "language-model.yaml"
FEATURES = 20
CONCURRENCY = 64
DELAY = 0.1
"""Seconds from a request to its reply."""


def language_model_rows() -> list[BenchRow]:
    """Calls, tokens and experiments a feature, and where the time of 20 features goes."""
    with _server() as url, tempfile.TemporaryDirectory() as folder:
        overrides = [f"llm.base_url={url}", f"llm.concurrency={CONCURRENCY}"]
        config = load_config(
            CONFIG,
            overrides,
            features=f"random:{FEATURES}",
            database=str(Path(folder) / "bench.duckdb"),
        )
        with (
            open_database(config.database, create=True) as database,
            ProgressReporter(Console(stderr=True)) as reporter,
            committing() as commits,
        ):
            finish_run(database, RunStore(database).open(config), reporter)
            ended = time.monotonic()
            served = _get(url, "_stats")
            serial = _one_after_another(url, database)
            wall = ended - served["first_at"]
            return [
                *_feature_rows(database),
                *_time_rows(served, wall, serial, commits.seconds_after(served["first_at"])),
            ]


def _feature_rows(database: Database) -> list[BenchRow]:
    costs = database.records("SELECT * FROM llm_costs")
    tests = database.rows("SELECT count(*) FROM experiments GROUP BY feature")
    chains = [_longest_chain(calls) for calls in _calls(database)]
    return [
        BenchRow("calls a feature, median", _median(costs, "calls"), 12, "calls"),
        BenchRow("longest chain of calls", max(chains), 8, "calls"),
        BenchRow("prompt tokens a feature, median", _median(costs, "tokens_in"), 40_000, "tokens"),
        BenchRow(
            "experiments a feature, median",
            statistics.median(n for (n,) in tests),
            27,
            "texts",
            more_is_better=True,
        ),
    ]


def _time_rows(
    served: dict[str, Any], wall: float, serial: float, committing_s: float
) -> list[BenchRow]:
    name = f"{FEATURES} features, {CONCURRENCY} requests at once"
    peak = served["peak"] / CONCURRENCY
    return [
        BenchRow(f"{name}: wall / calls one after another", wall / serial, 0.1, "ratio"),
        BenchRow(f"{name}: peak / limit", peak, 1.0, "ratio", more_is_better=True),
        BenchRow(f"{name}: no request in flight", 1 - served["busy_s"] / wall, 0.2, "of wall"),
        BenchRow(f"{name}: committing checkpoints", committing_s / wall, 0.05, "of wall"),
    ]


class _Call(NamedTuple):
    start: float
    end: float


def _calls(database: Database) -> list[list[_Call]]:
    """The calls of each feature."""
    rows = database.rows("SELECT feature, epoch(asked_at), latency FROM llm_calls")
    by_feature: dict[int, list[_Call]] = {}
    for feature, asked_at, latency in rows:
        by_feature.setdefault(feature, []).append(_Call(asked_at, asked_at + latency))
    return list(by_feature.values())


def _longest_chain(calls: Sequence[_Call]) -> int:
    """Most calls of which none began before the one before it had ended."""
    length, ended = 0, 0.0
    for call in sorted(calls, key=lambda call: call.end):
        if call.start >= ended:
            length, ended = length + 1, call.end
    return length


def _one_after_another(url: str, database: Database) -> float:
    """Seconds that the run's requests take when each waits for the one before it."""
    bodies = [row[0] for row in database.rows("SELECT request FROM llm_calls")]
    start = time.perf_counter()
    for body in bodies:
        _post(url, body)
    return time.perf_counter() - start


def _median(records: Sequence[dict[str, Any]], key: str) -> float:
    return statistics.median(record[key] for record in records)


@contextmanager
def _server() -> Generator[str]:
    """The loopback server in a process of its own; its base URL."""
    command = [sys.executable, "-m", "tests.llm_server", "--delay", str(DELAY)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _get(url: str, name: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.removesuffix("/v1") + f"/{name}") as reply:
        return json.load(reply)


def _post(url: str, body: str) -> None:
    request = urllib.request.Request(
        f"{url}/chat/completions", body.encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        reply.read()
