"""Killed at random moments, a language-model run pays nothing twice and ends as it would have."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphs.storage import open_database
from tests.crashes import (
    KILLED,
    CrashServer,
    Whole,
    agree_with_checkpoints,
    exported,
    make_run,
    uninterrupted,
)
from tests.llm_server import LoopbackServer
from tests.llm_server.scientist import scientist


@pytest.fixture(scope="module")
def llm() -> Iterator[LoopbackServer]:
    with LoopbackServer(scientist, delay=0.02) as server:
        yield server


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, llm: LoopbackServer) -> Path:
    return make_run(
        tmp_path_factory.mktemp("llm-crash"),
        policies={"default": "language_model"},
        llm={"model": "scientist", "base_url": llm.base_url},
        budget={"rounds": 2},
    )


@pytest.fixture(scope="module")
def whole(crash_server: CrashServer, config: Path) -> Whole:
    found = uninterrupted(crash_server, config)
    assert all(feature["counts"]["llm_calls"] >= 5 for feature in found.features)
    return found


@pytest.mark.parametrize("kills", [4, pytest.param(21, marks=pytest.mark.slow)])
def test_no_stored_reply_is_paid_again(
    crash_server: CrashServer,
    config: Path,
    tmp_path: Path,
    whole: Whole,
    llm: LoopbackServer,
    kills: int,
) -> None:
    moments = random.Random(kills)
    killed, resumed_with_replies = 0, 0
    for trial in itertools.count():
        if killed >= kills:
            break
        database = tmp_path / f"killed-{trial}.duckdb"
        command = ["explain", str(config), "--db", str(database)]
        while True:
            stored, seen = paid(database), len(llm.requests)
            # Late enough for a call or two: what comes before needs no server.
            code = crash_server.run(*command, after=moments.uniform(0.3, 1.0) * whole.seconds)
            again = [messages_of(request.body) for request in llm.requests[seen:]]
            assert stored.isdisjoint(again)
            resumed_with_replies += bool(stored)
            if code != KILLED:
                break
            killed += 1
            if database.exists() and agree_with_checkpoints(database):
                command = ["resume", str(database)]
        assert exported(database) == whole.features
    assert resumed_with_replies


def paid(database: Path) -> set[str]:
    """The requests whose replies are stored."""
    if not database.exists():
        return set()
    with open_database(str(database), create=False) as opened:
        rows = opened.rows("SELECT request FROM llm_calls WHERE reply IS NOT NULL")
    return {messages_of(json.loads(request)) for (request,) in rows}


def messages_of(body: dict[str, Any]) -> str:
    return json.dumps(body["messages"], sort_keys=True)
