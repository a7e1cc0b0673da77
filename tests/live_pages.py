"""A small run of known features, and its live page, for the tests of both."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import cycle
from pathlib import Path

import httpx
import pytest

from graphs.config import RunConfig, parse_config
from graphs.live.page_server import LivePage, live_page
from graphs.live.server import bound
from graphs.run import finish_run
from graphs.runs import Run, RunStore
from graphs.storage import open_database
from tests.fakes import fake_corpus
from tools.database import Database

RETURN, DIGITS, NONE_AFTER_IS, ANIMALS = 0, 1, 4, 6
"""Features of `tests.fakes.FakeSubject`."""


class Pausing:
    """A Reporter whose run stops before a feature's step until it is let go on."""

    def __init__(self, before: str = "") -> None:
        self.before = before
        self.reached, self.go_on = threading.Event(), threading.Event()

    def stage(self, message: str) -> None: ...
    def harvest(self, done: int, total: int) -> None: ...
    def features(self, done: int, total: int) -> None: ...
    def step(self, feature: int, node: str) -> None:
        if node == self.before:
            self.reached.set()
            assert self.go_on.wait(60)


def live_config(folder: Path, features: list[int]) -> RunConfig:
    corpus = folder / "corpus.txt"
    # No word but " is" always stands before None: what else did would tell as much.
    texts = zip(fake_corpus(n_documents=40), cycle(("value", "name", "tree")))
    told = (f"{text} {word} is None, return None." for text, word in texts)
    corpus.write_text("\n\n\n".join(told))
    return parse_config(
        {
            "subject": {"factory": "tests.fakes:FakeSubject"},
            "corpus": {"source": str(corpus), "max_tokens": 8_000},
            "features": features,
            "budget": {"rounds": 8, "experiments": 300},
            "database": str(folder / "live.duckdb"),
            "concurrency": 1,
        }
    )


def finished_run(database: Database, config: RunConfig) -> Run:
    run = RunStore(database).open(config)
    finish_run(database, run, Pausing())
    return run


@contextmanager
def served(database: Database) -> Iterator[LivePage]:
    with closing(bound(0)) as listening, live_page(database, listening) as page:
        yield page


@contextmanager
def client_of(page: LivePage) -> Iterator[httpx.Client]:
    """One that sends the token."""
    url = f"http://127.0.0.1:{page.port}"
    headers = {"X-Saesage-Token": page.token}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    config = live_config(tmp_path_factory.mktemp("live"), [RETURN, DIGITS])
    with open_database(config.database, create=True) as database:
        finished_run(database, config)
        yield database


@pytest.fixture(scope="module")
def page(database: Database) -> Iterator[LivePage]:
    with served(database) as page:
        yield page


@pytest.fixture(scope="module")
def run(database: Database) -> Run:
    return RunStore(database).latest()
