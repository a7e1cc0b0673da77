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
from unittest.mock import patch

from rich.console import Console

from evaluation.bench.rows import BenchRow
from graphs.checkpoint_writer import CheckpointWriter
from graphs.config import RunConfig
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
SLOW_DELAY = 1.0
"""The same as hosted models take."""
REPLAYED = 10
"""Requests sent one after another to learn what one takes by itself."""


def language_model_rows() -> list[BenchRow]:
    """Calls, tokens and experiments a feature, and where the time of 20 features goes."""
    with tempfile.TemporaryDirectory() as folder, _database(folder) as (config, database):
        with _server(DELAY) as url:
            # The first run is not measured: it harvests, and the scientist thinks.
            _explain(database, config, url)
            timed = _explain(database, config, url)
            rows = [*_feature_rows(database), *_time_rows(timed, DELAY)]
            with patch.object(CheckpointWriter, "_commit", _forget):
                bare = _explain(database, config, url)
        with _server(SLOW_DELAY) as url:
            slow = _explain(database, config, url)
    name = f"{FEATURES} features, {DELAY:g} s a reply: what checkpointing adds"
    return [
        *rows,
        BenchRow(name, 1 - bare.wall / timed.wall, 0.05, "of wall"),
        *_time_rows(slow, SLOW_DELAY)[:2],
    ]


def _forget(writer: CheckpointWriter, changes: Sequence[Any]) -> None:
    """Commit nothing: what a run without checkpoints would do."""


class _Timed(NamedTuple):
    """A run as the server saw it; seconds."""

    wall: float
    """From the first request to the end of the last feature."""
    serial: float
    """What the same calls take one after another."""
    busy: float
    """With a request in flight."""
    peak: int
    """Requests in flight."""


def _explain(database: Database, config: RunConfig, url: str) -> _Timed:
    """Explain the features once more, with no reply at hand."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM llm_calls")
    _get(url, "_reset", data=b"")
    llm = config.llm and config.llm.model_copy(update={"base_url": url})
    run = RunStore(database).open(config.model_copy(update={"llm": llm}), new=True)
    with ProgressReporter(Console(stderr=True)) as reporter:
        finish_run(database, run, reporter)
    ended = time.monotonic()
    served = _get(url, "_stats")
    bodies = [body for (body,) in database.rows("SELECT request FROM llm_calls")]
    each = _one_after_another(url, bodies[:REPLAYED])
    wall = ended - served["first_at"]
    return _Timed(wall, each * len(bodies), served["busy_s"], served["peak"])


def _feature_rows(database: Database) -> list[BenchRow]:
    costs = database.records("SELECT * FROM llm_costs")
    newest = RunStore(database).latest().name
    tests = database.rows(
        "SELECT count(*) FROM experiments WHERE run = ? GROUP BY feature", [newest]
    )
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


def _time_rows(timed: _Timed, delay: float) -> list[BenchRow]:
    name = f"{FEATURES} features, {delay:g} s a reply, limit {CONCURRENCY}"
    ratio, peak = timed.wall / timed.serial, timed.peak / CONCURRENCY
    idle = 1 - timed.busy / timed.wall
    return [
        BenchRow(f"{name}: wall / calls one after another", ratio, 0.1, "ratio"),
        BenchRow(f"{name}: most in flight / limit", peak, 1.0, "ratio", more_is_better=True),
        BenchRow(f"{name}: no request in flight", idle, 0.2, "of wall"),
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


def _one_after_another(url: str, bodies: Sequence[str]) -> float:
    """Seconds that one of these requests takes when each waits for the one before it."""
    start = time.perf_counter()
    for body in bodies:
        _get(url, "v1/chat/completions", data=body.encode())
    return (time.perf_counter() - start) / len(bodies)


def _median(records: Sequence[dict[str, Any]], key: str) -> float:
    return statistics.median(record[key] for record in records)


@contextmanager
def _database(folder: str) -> Generator[tuple[RunConfig, Database]]:
    """The shipped configuration and a database of its own."""
    config = load_config(
        CONFIG,
        [f"llm.concurrency={CONCURRENCY}"],
        features=f"random:{FEATURES}",
        database=str(Path(folder) / "bench.duckdb"),
    )
    with open_database(config.database, create=True) as database:
        yield config, database


@contextmanager
def _server(delay: float) -> Generator[str]:
    """The loopback server in a process of its own; its base URL."""
    command = [sys.executable, "-m", "tests.llm_server", "--delay", str(delay)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _get(url: str, name: str, data: bytes | None = None) -> dict[str, Any]:
    """What the server answers; `data` makes it a POST."""
    request = urllib.request.Request(
        f"{url.removesuffix('/v1')}/{name}", data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        return json.loads(reply.read() or b"{}")
