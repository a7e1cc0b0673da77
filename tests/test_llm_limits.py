"""How many requests are out at once and how fast they follow; and what closing ends."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_fixed

from graphs.storage import open_database
from tests.llm_asking import Said, asking, good, question
from tests.llm_server import LoopbackServer
from tools.database import Database
from tools.llm import sending

HANG_S = 60.0
"""By then, whatever is waited for will never come."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "runs.duckdb"), create=True) as opened:
        yield opened


def test_the_limit_is_reached_and_never_exceeded_by_all_features_together(
    database: Database,
) -> None:
    roles = {"review": {"model": "other", "temperature": 1.0}}
    with (
        LoopbackServer(good, delay=0.3, faults={"500": 0.1, "reset": 0.1}) as server,
        asking(database, server, concurrency=7, roles=roles) as model,
        ThreadPoolExecutor(6) as threads,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sending, "BACK_OFF", wait_fixed(0.01))

        def feature(number: int) -> list[Any]:
            roles = ("review", "conclude")
            return model.ask(
                [question(f"{number} {n}", role=roles[n % 2], feature=number) for n in range(4)]
            )

        answers = list(threads.map(feature, range(6)))
        assert answers == [["tea"] * 4] * 6
        assert server.peak == 7


def test_one_request_at_a_time_when_asked_for(database: Database) -> None:
    with (
        LoopbackServer(good, delay=0.02) as server,
        asking(database, server, concurrency=1) as model,
    ):
        assert model.ask([question(str(n)) for n in range(5)]) == ["tea"] * 5
        assert server.peak == 1


def test_a_pause_before_another_attempt_holds_nobody_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BACK_OFF", wait_fixed(0.5))
    with LoopbackServer(good) as server, asking(database, server, concurrency=1) as model:
        server.script("500")
        assert model.ask([question(str(n)) for n in range(4)]) == ["tea"] * 4
        texts = [request.body["messages"][1]["content"] for request in server.requests]
    assert texts == ["0", "1", "2", "3", "0"]


def test_requests_per_second_spaces_every_attempt(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BACK_OFF", wait_fixed(0.001))
    with (
        LoopbackServer(good) as server,
        asking(database, server, requests_per_second=20) as model,
    ):
        server.script("500", None, "500")
        assert model.ask([question(str(n)) for n in range(8)]) == ["tea"] * 8
        at = [request.at for request in server.requests]
    assert len(at) == 10
    assert at[-1] - at[0] >= 9 / 20 * 0.9
    # No five within the time of three: spaced, and not in bursts.
    assert min(late - early for early, late in zip(at, at[4:], strict=False)) >= 0.1


def waiting(model: Any, n: int) -> tuple[list[threading.Thread], list[BaseException]]:
    ended: list[BaseException] = []

    def ask(number: int) -> None:
        try:
            model.ask([question(f"{number}.{part}", feature=number) for part in range(2)])
        except KeyboardInterrupt as error:
            ended.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(n)]
    for thread in threads:
        thread.start()
    return threads, ended


def test_closing_ends_every_ask_at_once_and_leaves_nothing_behind(database: Database) -> None:
    with warnings.catch_warnings(), LoopbackServer(good, delay=2 * HANG_S) as server:
        warnings.simplefilter("error")
        with asking(database, server, concurrency=4) as model:
            threads, ended = waiting(model, 3)
            while server.peak < 4:
                time.sleep(0.01)
            model.close()
            for thread in threads:
                thread.join(HANG_S)
            # None of them waited for its reply.
            assert not any(request.status for request in server.requests)
        assert [type(error) for error in ended] == [KeyboardInterrupt] * 3
        with pytest.raises(KeyboardInterrupt):
            model.ask([question()])
        model.close()
        assert server.count == 4
    assert "language model" not in [thread.name for thread in threading.enumerate()]
    # What was sent is in the ledger, though nobody waited for the reply.
    assert (
        database.rows("SELECT attempts, error, reply FROM llm_calls")
        == [(1, "cancelled", None)] * 4
    )


def test_closing_while_pausing_and_while_queueing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BACK_OFF", wait_fixed(60))
    with LoopbackServer(good, faults={"500": 1.0}) as server:
        with asking(database, server, concurrency=1, requests_per_second=50) as model:
            threads, ended = waiting(model, 2)
            while server.count < 4:
                time.sleep(0.01)
        for thread in threads:
            thread.join(HANG_S)
    assert [type(error) for error in ended] == [KeyboardInterrupt] * 2
    assert database.rows("SELECT sum(attempts) FROM llm_calls") == [(4,)]


def test_a_reply_is_stored_before_it_is_read(database: Database) -> None:
    seen: list[list[tuple[Any, ...]]] = []

    def read(reply: Said, last: bool) -> str:
        seen.append(database.rows("SELECT reply IS NOT NULL FROM llm_calls"))
        return reply.word

    with LoopbackServer(good) as server, asking(database, server) as model:
        model.ask([question(read=read)])
    assert seen == [[(True,)]]
