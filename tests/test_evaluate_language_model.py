"""`saesage evaluate --judge language_model`, against a server on the loopback interface."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluations import (
    NAMED,
    explained,
    explanation_rows,
    killed_while_saving,
    query,
    run_saesage,
    score_rows,
    with_features,
)
from tests.llm_server import LoopbackServer
from tests.llm_server.scientist import scientist

TWO = (NAMED["animals"], NAMED["None after is"])
METRICS = ("predictive_balanced", "generative", "generative_negatives", "generative_auroc")
TEXTS = 20
"""Snippets that are asked about one by one."""


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(scientist) as server:
        yield server


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """Two features explained, none scored, and no `llm` section in the run's configuration."""
    return with_features(explained(tmp_path_factory), tmp_path / "run.duckdb", TWO)


def options(
    server: LoopbackServer,
    baselines: str,
    judges: str = "language_model",
    metrics: str = "predictive_balanced,generative",
) -> list[str]:
    settings = {"model": "scientist", "base_url": server.base_url, "concurrency": 1}
    return [
        *("--metrics", metrics, "--baselines", baselines, "--judge", judges),
        *(part for key, value in settings.items() for part in ("--set", f"llm.{key}={value}")),
    ]


def asked_for(server: LoopbackServer) -> Counter[str]:
    """How often each kind of reply was asked for."""
    return Counter(
        request.body["response_format"]["json_schema"]["name"] for request in server.requests
    )


def test_every_text_is_one_call_and_every_call_is_counted(
    database: Path, server: LoopbackServer
) -> None:
    said = run_saesage("evaluate", database, *options(server, "one_shot,unigram_table"))
    assert said.code == 0
    rows = score_rows(database)
    assert {row["judge"] for row in rows} == {"language_model"}
    assert len(rows) == len(TWO) * 3 * len(METRICS)
    for row in rows:
        if row["explainer"] == "unigram_table":
            assert (row["value"], row["calls"]) == (None, 0)
            assert "no description" in row["reason"]
            continue
        assert row["value"] is not None
        assert row["parse_failures"] == 0
        calls = {"predictive_balanced": TEXTS, "generative_auroc": 2}.get(row["metric"], 1)
        assert row["calls"] == calls
        assert row["tokens_in"] > 100 * calls
        assert row["tokens_out"] > 0
        assert row["cost"] is None
    explained_twice = len(TWO) * 2
    assert asked_for(server) == {
        "SimulatorReply": TEXTS * explained_twice,
        "WriterReply": 2 * explained_twice,
    }
    ledger = query(database, "SELECT count(*) AS calls, sum(tokens_in) AS tokens_in FROM llm_calls")
    assert ledger == [{"calls": server.count, "tokens_in": server.prompt_tokens}]
    assert run_saesage("evaluate", database, *options(server, "one_shot")).code == 0
    assert server.count == ledger[0]["calls"]


def test_both_judges_meet_the_same_texts_and_agree_on_what_is_better(
    database: Path, server: LoopbackServer
) -> None:
    both = options(server, "shuffled", "rule,language_model", "predictive_balanced")
    assert run_saesage("evaluate", database, *both).code == 0
    rows = score_rows(database)
    values = {(row["feature"], row["explainer"], row["judge"]): row["value"] for row in rows}
    for feature in TWO:
        for judge in ("rule", "language_model"):
            assert values[feature, "agentic", judge] > 0.5
            assert (values[feature, "shuffled", judge] or 0.0) < 0.3
    texts = [
        [text["id"] for text in json.loads(row["details"])["texts"]]
        for row in rows
        if row["feature"] == TWO[0] and row["explainer"] == "agentic"
    ]
    assert texts[0] == texts[1]
    assert len(texts[0]) == TEXTS


def test_killed_it_pays_for_no_reply_twice(
    database: Path, server: LoopbackServer, tmp_path: Path
) -> None:
    whole = Path(shutil.copy(database, tmp_path / "whole.duckdb"))
    assert run_saesage("evaluate", whole, *options(server, "unigram_table")).code == 0
    n_requests = server.count
    server.reset()
    command = ("evaluate", database, *options(server, "unigram_table"))
    assert killed_while_saving(2, *command) == -signal.SIGKILL
    assert server.count == n_requests
    assert {row["feature"] for row in score_rows(database)} == {min(TWO)}
    assert run_saesage(*command).code == 0
    assert server.count == n_requests
    assert score_rows(database) == score_rows(whole)
    assert explanation_rows(database) == explanation_rows(whole)


def test_answers_that_cannot_be_used_are_no_scores_and_asked_for_again(
    database: Path, server: LoopbackServer
) -> None:
    command = ("evaluate", database, *options(server, "one_shot", metrics="generative"))
    with LoopbackServer(scientist, faults={"wrong_schema": 1.0}) as failing:
        broken = ("evaluate", database, *options(failing, "one_shot", metrics="generative"))
        assert run_saesage(*broken).code == 0
    for row in score_rows(database):
        assert (row["value"], row["parse_failures"]) == (None, 1.0)
        assert row["reason"]
        assert row["calls"]
    assert run_saesage(*command).code == 0
    assert all(row["value"] is not None for row in score_rows(database))
