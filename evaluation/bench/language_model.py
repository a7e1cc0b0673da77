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
REPEATS = 3
"""Runs with checkpoints, and as many without, to tell what they cost."""
REPLAYED = 10
"""Requests sent one after another to learn what one takes by itself."""


def language_model_rows() -> list[BenchRow]:
    """Calls, tokens and experiments a feature, and where the time of 20 features goes."""
    with tempfile.TemporaryDirectory() as folder, _database(folder) as (config, database):
        with _server(DELAY) as url:
            # The first run is not measured: it harvests, and the scientist thinks.
            _explain(database, config, url)
            kept, bare = _with_and_without_commits(database, config, url)
            timed = _explain(database, config, url)
            chain = max(map(_longest_chain, _calls(database)))
            rows = [*_feature_rows(database, chain), *_time_rows(timed, chain, DELAY)]
        with _server(SLOW_DELAY) as url:
            slow = _explain(database, config, url)
    name = f"{FEATURES} features, {DELAY:g} s a reply: what checkpointing adds"
    return [
        *rows,
        BenchRow(name, 1 - bare / kept, 0.05, "of wall"),
        *_time_rows(slow, chain, SLOW_DELAY),
    ]


def _with_and_without_commits(
    database: Database, config: RunConfig, url: str
) -> tuple[float, float]:
    """Median wall times of runs that commit their checkpoints and of runs that do not, in turn."""
    kept: list[float] = []
    bare: list[float] = []
    for _ in range(REPEATS):
        kept.append(_explain(database, config, url).wall)
        with patch.object(CheckpointWriter, "_commit", _forget):
            bare.append(_explain(database, config, url).wall)
    return statistics.median(kept), statistics.median(bare)


def _forget(writer: CheckpointWriter, changes: Sequence[Any]) -> None:
    """Commit nothing: what a run without checkpoints would do."""


class _Timed(NamedTuple):
    """A run as the server saw it; seconds."""

    wall: float
    """From the first request to the end of the last feature."""
    serial: float
    """What the same calls take one after another."""
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
    return _Timed(wall, each * len(bodies), served["peak"])


def _feature_rows(database: Database, chain: int) -> list[BenchRow]:
    costs = database.records("SELECT * FROM llm_costs")
    newest = RunStore(database).latest().name
    tests = database.rows(
        "SELECT count(*) FROM experiments WHERE run = ? GROUP BY feature", [newest]
    )
    texts = statistics.median(n for (n,) in tests)
    return [
        BenchRow("calls a feature, median", _median(costs, "calls"), 12, "calls"),
        BenchRow("longest chain of calls", chain, 8, "calls"),
        BenchRow("prompt tokens a feature, median", _median(costs, "tokens_in"), 40_000, "tokens"),
        BenchRow("experiments a feature, median", texts, 27, "texts", more_is_better=True),
    ]


def _time_rows(timed: _Timed, chain: int, delay: float) -> list[BenchRow]:
    name = f"{FEATURES} features, {delay:g} s a reply, limit {CONCURRENCY}"
    ratio = timed.wall / timed.serial
    beside = 1 - chain * delay / timed.wall
    missed = abs(timed.peak - CONCURRENCY) / CONCURRENCY
    return [
        BenchRow(f"{name}: wall / {REPLAYED} calls in turn, scaled up", ratio, 0.1, "ratio"),
        BenchRow(f"{name}: all but waiting for the longest chain", beside, 0.2, "of wall"),
        BenchRow(f"{name}: peak beside the limit", missed, 0.0, "of limit"),
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
