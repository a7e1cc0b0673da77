"""Whole runs against a server that fails in every way: each feature ends with a final status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_fixed

from graphs.runs import UNFINISHED
from graphs.storage import open_database
from tests.llm_explaining import make_subject, saesage_says, write_config
from tests.llm_server import ALL_FAULTS, LoopbackServer
from tests.llm_server.scientist import scientist
from tools.llm import sending

SHIPPED = Path(__file__).parents[1] / "graphs" / "configs" / "language-model.yaml"


@pytest.fixture
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "BACK_OFF", wait_fixed(0.01))


def shares(whole: float) -> dict[str, float]:
    return dict.fromkeys(ALL_FAULTS, whole / len(ALL_FAULTS))


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with open_database(str(path), create=False) as database:
        return database.rows(sql)


def check_finished(path: Path, n_features: int, server: LoopbackServer) -> None:
    statuses = [status for (status,) in rows(path, "SELECT status FROM features")]
    assert len(statuses) == n_features
    assert not set(UNFINISHED) & set(statuses)
    assert rows(path, "SELECT sum(attempts) FROM llm_calls") == [(server.count,)]
    assert rows(path, "SELECT sum(requests) FROM llm_costs") == [(server.count,)]


@pytest.mark.usefixtures("_no_long_pauses")
def test_a_server_that_fails_in_every_way_keeps_no_feature_from_its_end(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_subject(tmp_path)
    with LoopbackServer(scientist, faults=shares(0.3), seed=3) as server:
        config = write_config(
            tmp_path / "run.yaml",
            tmp_path,
            [4, 13, 31],
            base_url=server.base_url,
            timeout_s=2.0,
        )
        assert saesage_says(capfd, "explain", config).code in (0, 1)
        check_finished(tmp_path / "run.duckdb", 3, server)
        assert sum(request.fault is not None for request in server.requests) >= 3


@pytest.mark.slow
def test_the_shipped_configuration_survives_every_fault(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.duckdb"
    with LoopbackServer(scientist, faults=shares(0.1), seed=1) as server:
        settings = (f"llm.base_url={server.base_url}", "llm.timeout_s=10")
        options = [part for setting in settings for part in ("--set", setting)]
        said = saesage_says(capfd, "explain", SHIPPED, "--db", path, *options)
        assert said.code in (0, 1)
        check_finished(path, 20, server)
        met = {request.fault for request in server.requests}
        assert len(met) > len(ALL_FAULTS) / 2


@pytest.mark.usefixtures("_no_long_pauses")
def test_a_feature_that_failed_for_want_of_a_usable_reply_is_asked_afresh(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_subject(tmp_path)
    path = tmp_path / "run.duckdb"
    faults = ["empty", "refusal", "wrong_schema"]
    with LoopbackServer(scientist, faults=faults) as server:
        config = write_config(tmp_path / "run.yaml", tmp_path, [31], base_url=server.base_url)
        assert saesage_says(capfd, "explain", config).code in (0, 1)
        check_finished(path, 1, server)
        bodies = [request.body for request in server.requests]
    assert rows(path, "SELECT error FROM failures") == [("MalformedReply",)]
    assert rows(path, "SELECT superseded FROM llm_calls ORDER BY id LIMIT 4") == [
        *[(True,)] * 3,
        (False,),
    ]
    assert bodies[3] == bodies[0]
