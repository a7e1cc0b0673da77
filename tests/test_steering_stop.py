"""Ctrl-C and SIGTERM: one finishes the step under way, two end at once; nothing stored is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphs.stopping import Stop
from graphs.storage import open_database
from tests.steered import ANIMALS, RETURN, Cli, make_cli, write_config
from tests.test_feature_workers import Workers
from tools.errors import EXIT_INTERRUPTED

ROOT = Path(__file__).parent.parent


class Running:
    """`saesage explain` in a process of its own, both features in the midst of a step."""

    def __init__(self, folder: Path) -> None:
        self.go = folder / "go"
        config = write_config(folder, policies={"default": "tests.policies:Dawdling"})
        self.process = subprocess.Popen(
            [sys.executable, "saesage.py", "explain", str(config)],
            cwd=ROOT,
            env={**os.environ, "SAESAGE_TEST_GO": str(self.go), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun = [self.go.with_suffix(f".{feature}") for feature in (RETURN, ANIMALS)]
        while not all(path.exists() for path in begun):
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)
        self._until_stored(folder / "run.duckdb.wal")

    def _until_stored(self, log: Path) -> None:
        """Steps are stored while the next is under way: wait until DuckDB writes no more."""
        size, since = -1, time.monotonic()
        while time.monotonic() - since < 0.7:
            if log.stat().st_size != size:
                size, since = log.stat().st_size, time.monotonic()
            time.sleep(0.05)

    def hear(self, number: int) -> None:
        """Send a signal and wait until it was heard."""
        self.process.send_signal(number)
        assert self.process.stderr is not None
        assert any("finishing the current step" in line for line in self.process.stderr)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    started = Running(tmp_path)
    yield started
    started.process.kill()
    started.process.communicate()


def counts(database: Path) -> dict[str, int]:
    tables = ("hypotheses", "experiments", "observations", "failures")
    with open_database(str(database), create=False) as opened:
        return {table: opened.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def test_one_finishes_the_step_and_says_how_to_go_on(
    running: Running,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    running.hear(signal.SIGINT)
    running.go.touch()
    _, err = running.process.communicate(timeout=60)
    assert running.process.returncode == EXIT_INTERRUPTED
    database = tmp_path / "run.duckdb"
    assert f"go on with: saesage resume {database}" in err
    # Designed and stored, for both; and no further step was begun.
    assert counts(database) == {
        "hypotheses": 8,
        "experiments": 20,
        "observations": 0,
        "failures": 0,
    }
    monkeypatch.setenv("SAESAGE_TEST_GO", str(running.go))
    assert_finishes(make_cli(monkeypatch, capsys), database)


def test_two_end_at_once(
    running: Running,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    running.hear(signal.SIGINT)
    running.process.send_signal(signal.SIGTERM)
    # The steps would never end by themselves.
    running.process.communicate(timeout=20)
    assert running.process.returncode == EXIT_INTERRUPTED
    database = tmp_path / "run.duckdb"
    assert counts(database)["hypotheses"] == 8
    running.go.touch()
    monkeypatch.setenv("SAESAGE_TEST_GO", str(running.go))
    assert_finishes(make_cli(monkeypatch, capsys), database)


def assert_finishes(cli: Cli, database: Path) -> None:
    assert cli("resume", database).code == 0
    found = json.loads(cli("show", database, "--json").out)
    assert [record["status"] for record in found] == ["explained"] * 2


@pytest.mark.parametrize("in_flight", [1, 3])
def test_features_end_between_steps_and_none_is_begun(in_flight: int) -> None:
    stop = Stop()
    done: list[tuple[int, str]] = []

    def explain(feature: int, on_step: Any) -> None:
        for node in ("first", "second"):
            on_step(feature, node)
            if feature == 0:
                stop.ask()
            done.append((feature, node))

    workers = Workers(explain, in_flight, stop=stop)
    workers.finish(range(30))
    # The step that was under way is over; what had not begun is not, and nobody has failed.
    assert (0, "first") in done
    assert (0, "second") not in done
    assert len({feature for feature, _ in done}) < 30
    assert all(failure is None for _, failure in workers.tried)
    assert 0 not in {feature for feature, _ in workers.tried}
