"""Every request is in the books, and none is paid for twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_fixed

from graphs.storage import open_database
from tests.llm_asking import GOOD, asking, good, question
from tests.llm_server import ALL_FAULTS, LoopbackServer, Reply
from tools.database import Database
from tools.errors import DatabaseFull, LanguageModelError
from tools.llm import sending


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "runs.duckdb"), create=True) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "BACK_OFF", wait_fixed(0.01))


def test_an_identical_request_is_answered_from_the_database(tmp_path: Path) -> None:
    path = str(tmp_path / "runs.duckdb")
    with LoopbackServer(good) as server, LoopbackServer(good) as elsewhere:
        with open_database(path, create=True) as database, asking(database, server) as model:
            assert model.ask([question()]) == ["tea"]
            assert model.ask([question(feature=2)]) == ["tea"]
        # Another process, run, feature, server, price and patience: still the same request.
        other: dict[str, Any] = {"prices": {"m": {"input": 1, "output": 1}}, "timeout_s": 9}
        with open_database(path, create=False) as database:
            with asking(database, elsewhere, run="run-2", **other) as model:
                assert model.ask([question(feature=3)]) == ["tea"]
            assert database.rows("SELECT run, feature FROM llm_calls") == [("run-1", 1)]
        assert (server.count, elsewhere.count) == (1, 0)


@pytest.mark.parametrize(
    ("settings", "other"),
    [
        ({"model": "m2"}, {}),
        ({"temperature": 0.5}, {}),
        ({"max_output_tokens": 100}, {}),
        ({"reasoning_effort": "low"}, {}),
        ({"extra_body": {"seed": 1}}, {}),
        ({}, {"text": "Another text?"}),
    ],
    ids=str,
)
def test_any_difference_in_what_is_asked_is_another_request(
    database: Database, settings: dict[str, Any], other: dict[str, Any]
) -> None:
    with LoopbackServer(good) as server:
        with asking(database, server) as model:
            assert model.ask([question()]) == ["tea"]
        with asking(database, server, **settings) as model:
            assert model.ask([question(**other)]) == ["tea"]
        assert server.count == 2


def test_of_identical_requests_in_flight_only_one_is_sent(database: Database) -> None:
    with (
        LoopbackServer(good, delay=0.1) as server,
        asking(database, server) as model,
        ThreadPoolExecutor(4) as threads,
    ):
        asks = threads.map(lambda n: model.ask([question(feature=n)] * 5), range(4))
        assert list(asks) == [["tea"] * 5] * 4
        assert server.count == 1
    assert database.rows("SELECT count(*) FROM llm_calls") == [(1,)]


def test_who_waits_for_an_identical_request_that_fails_tries_it_too(database: Database) -> None:
    with (
        LoopbackServer(good, delay=0.05) as server,
        asking(database, server, max_retries=0) as model,
    ):
        server.script("500")
        failed, answered = model.ask([question(feature=1), question(feature=2)])
        assert isinstance(failed, LanguageModelError)
        assert answered == "tea"
    rows = database.rows("SELECT feature, error IS NULL FROM llm_calls ORDER BY id")
    assert rows == [(1, False), (2, True)]


def test_the_books_agree_with_the_server_under_every_fault(database: Database) -> None:
    share = 0.6 / len(ALL_FAULTS)
    plan = {name: share for name in ALL_FAULTS if name != "timeout"}
    with (
        LoopbackServer(good, faults=plan, seed=5) as server,
        asking(database, server, max_retries=1) as model,
        ThreadPoolExecutor(6) as threads,
    ):
        asks = threads.map(
            lambda feature: model.ask(
                [question(f"{feature} {n}", feature=feature) for n in range(12)]
            ),
            range(8),
        )
        outcomes = [outcome for answers in asks for outcome in answers]
        met = {request.fault for request in server.requests}
        assert len(outcomes) == 96
        assert outcomes.count("tea") > 80
        assert len(met) > len(plan) * 0.8
        assert database.rows("SELECT sum(attempts) FROM llm_calls") == [(server.count,)]
        assert database.rows("SELECT sum(requests) FROM llm_costs") == [(server.count,)]
        answered = "SELECT sum(tokens_in), sum(tokens_out) FROM llm_calls"
        assert database.rows(answered) == [(server.prompt_tokens, server.completion_tokens)]
        ids = [row_id for (row_id,) in database.rows("SELECT id FROM llm_calls")]
        assert sorted(ids) == list(range(1, len(ids) + 1))


def test_replies_that_arrive_together_are_committed_together(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    transaction = database.transaction
    commits: list[str] = []

    @contextmanager
    def counted() -> Iterator[Any]:
        commits.append(threading.current_thread().name)
        with transaction() as connection:
            yield connection

    monkeypatch.setattr(database, "transaction", counted)
    with (
        LoopbackServer(good, delay=0.3) as server,
        asking(database, server, concurrency=48) as model,
    ):
        assert model.ask([question(str(n)) for n in range(48)]) == ["tea"] * 48
    assert database.rows("SELECT count(*) FROM llm_calls") == [(48,)]
    assert 1 <= len(commits) <= 40
    assert "language model" not in commits


def test_a_reply_that_cannot_be_stored_is_not_used(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> Any:
        raise DatabaseFull("No space left.")

    used: list[Any] = []
    with LoopbackServer(good) as server, asking(database, server) as model:
        monkeypatch.setattr(database, "transaction", full)
        with pytest.raises(DatabaseFull):
            model.ask([question(read=lambda reply, last: used.append(reply))])
    assert used == []


def test_costs_by_feature(database: Database) -> None:
    prices = {"m": {"input": 2.0, "output": 8.0, "cached": 0.5}}
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 400},
    }
    with LoopbackServer(good, delay=0.05) as server:
        with asking(database, server, prices=prices, concurrency=1) as model:
            server.script("500", Reply(GOOD, usage=usage), Reply(GOOD, usage=usage))
            assert model.ask([question("1"), question("2")]) == ["tea", "tea"]
            server.script(Reply(GOOD, usage=usage))
            assert model.ask([question("3", feature=2)]) == ["tea"]
            server.script(Reply(GOOD, usage=None))
            assert model.ask([question("4", feature=3)]) == ["tea"]
            server.script(*["500"] * 7)
            assert isinstance(model.ask([question("5", feature=4)])[0], LanguageModelError)
        with asking(database, server, run="run-2") as model:
            server.script(Reply(GOOD, usage=usage))
            assert model.ask([question("6", feature=2)]) == ["tea"]
    names = "run, feature, calls, requests, tokens_in, tokens_out"
    rows = database.rows(f"SELECT {names} FROM llm_costs ORDER BY run, feature")
    assert rows == [
        ("run-1", 1, 2, 3, 2000, 200),
        ("run-1", 2, 1, 1, 1000, 100),
        ("run-1", 3, 1, 1, None, None),
        ("run-1", 4, 0, 7, 0, 0),
        ("run-2", 2, 1, 1, 1000, 100),
    ]
    costs = database.rows("SELECT cost FROM llm_costs ORDER BY run, feature")
    one = (600 * 2.0 + 400 * 0.5 + 100 * 8.0) / 1e6
    assert [cost for (cost,) in costs] == [
        pytest.approx(2 * one),
        pytest.approx(one),
        None,
        0.0,
        None,
    ]
    waited = "SELECT seconds_waited FROM llm_costs WHERE run = 'run-1' AND feature = 2"
    assert database.rows(waited)[0][0] >= 0.05
