"""A thread is in one pair of hands at a time, whoever wants it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from graphs.claims import Claims
from graphs.config import parse_config
from graphs.instruments import Instruments
from graphs.storage import open_database


def test_a_thread_waits_for_whoever_holds_it_and_another_does_not() -> None:
    claims, let_go = Claims(), threading.Event()
    told: list[str] = []

    def hold(thread: str, name: str) -> None:
        with claims.held(thread):
            told.append(name)
            assert let_go.wait(10) or name != "first"

    with ThreadPoolExecutor(3) as pool:
        pool.submit(hold, "run/1", "first")
        while not told:
            pass
        second = pool.submit(hold, "run/1", "second")
        pool.submit(hold, "run/2", "other")
        while len(told) < 2:
            pass
        assert told == ["first", "other"]
        let_go.set()
        second.result(timeout=10)
    assert told == ["first", "other", "second"]


def test_a_subject_that_says_nothing_of_threads_is_called_from_one() -> None:
    config = parse_config(
        {
            "subject": {"factory": "tests.fakes:FakeSubject"},
            "corpus": {"source": "x"},
            "features": [1],
        }
    )
    with open_database(":memory:", create=True) as database:
        instruments = Instruments(database)
        instrument = instruments.of(config.subject)
        assert instrument.aside is instrument.scheduler.lanes
        assert instrument.aside.number == 1
        names = {
            instrument.aside.submit(lambda: threading.current_thread().name).result(),
            *(
                instrument.scheduler.lanes.submit(lambda: threading.current_thread().name).result()
                for _ in range(3)
            ),
        }
        assert len(names) == 1
        instruments.close()
