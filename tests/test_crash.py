"""Killed with SIGKILL at random moments, a run resumes to what it would have found anyway."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from tests.crashes import (
    KILLED,
    CrashServer,
    Whole,
    agree_with_checkpoints,
    exported,
    make_run,
    uninterrupted,
)
from tools.errors import EXIT_INTERRUPTED

KILLS = 20


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("crash"))


@pytest.fixture(scope="module")
def whole(crash_server: CrashServer, config: Path) -> Whole:
    found = uninterrupted(crash_server, config)
    assert all(feature["experiments"] for feature in found.features)
    return found


def test_kill_and_resume(
    crash_server: CrashServer, config: Path, tmp_path: Path, whole: Whole
) -> None:
    # Early ones: a run is killed several times, each time from where it was resumed.
    moments, latest = random.Random(0), 0.5 * whole.seconds
    kills = 0
    for trial in itertools.count():
        if kills >= KILLS:
            break
        database = tmp_path / f"killed-{trial}.duckdb"
        command = ["explain", str(config), "--db", str(database)]
        while crash_server.run(*command, after=moments.uniform(0.01, latest)) == KILLED:
            kills += 1
            if database.exists() and agree_with_checkpoints(database):
                command = ["resume", str(database)]
        assert agree_with_checkpoints(database)
        assert exported(database) == whole.features


def test_interrupted_politely(
    crash_server: CrashServer, config: Path, tmp_path: Path, whole: Whole
) -> None:
    # Runs take a different time each: one may be over by then.
    for part in (2, 4, 8, 16):
        database = tmp_path / f"stopped-{part}.duckdb"
        command = ["explain", str(config), "--db", str(database)]
        code = crash_server.run(*command, name="SIGTERM", after=whole.seconds / part)
        if code == EXIT_INTERRUPTED:
            break
    assert code == EXIT_INTERRUPTED
    assert agree_with_checkpoints(database)
    assert crash_server.run("resume", str(database)) in (0, 1)
    assert exported(database) == whole.features
