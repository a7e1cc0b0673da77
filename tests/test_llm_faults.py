"""What the client does when the server fails: try again, give up one question, or give up."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from tenacity import wait_fixed

from graphs.storage import open_database
from tests.llm_asking import GOOD, asking, good, question
from tests.llm_server import Failure, LoopbackServer
from tools.database import Database
from tools.errors import CallFailed, LanguageModelUnusable, RequestRefused
from tools.llm import sending
from tools.llm.failures import retry_after


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "runs.duckdb"), create=True) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "BACK_OFF", wait_fixed(0.01))


@pytest.mark.parametrize(
    "fault",
    [
        "429",
        "500",
        "503",
        "reset",
        "not_json",
        "timeout",
        Failure(408, "too slow"),
        Failure(409, "locked"),
        Failure(502, "bad gateway"),
    ],
    ids=str,
)
def test_what_may_pass_is_tried_again(database: Database, fault: str | Failure) -> None:
    seconds = 0.4 if fault == "timeout" else 20.0
    with LoopbackServer(good) as server, asking(database, server, timeout_s=seconds) as model:
        server.script(fault, fault)
        assert model.ask([question()]) == ["tea"]
        assert server.count == 3
    assert database.rows("SELECT attempts, error, reply IS NULL FROM llm_calls") == [
        (3, None, False)
    ]


def test_a_question_is_given_up_after_its_retries(database: Database) -> None:
    with LoopbackServer(good) as server, asking(database, server, max_retries=2) as model:
        server.script("500", "503", "500")
        failed, answered = model.ask([question("first")])[0], model.ask([question("second")])[0]
        assert isinstance(failed, CallFailed)
        assert answered == "tea"
        assert server.count == 4
    message = str(failed)
    assert "gave no reply in 3 attempts" in message
    assert "HTTP 500: The server had an error while processing it. (2 times)" in message
    assert "HTTP 503" in message
    assert "llm.max_retries" in message
    rows = database.rows("SELECT attempts, error, reply, latency FROM llm_calls ORDER BY id")
    assert rows[0] == (3, message, None, None)
    assert rows[1][:2] == (1, None)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "1"}, 1.0), ({"retry-after-ms": "350", "retry-after": "30"}, 0.35)],
)
def test_retry_after_is_honoured(
    database: Database, headers: dict[str, str], seconds: float
) -> None:
    with LoopbackServer(good) as server, asking(database, server) as model:
        server.script(Failure(429, "slow down", headers=headers))
        assert model.ask([question()]) == ["tea"]
        first, second = server.requests
    assert first.answered_at is not None
    assert seconds <= second.at - first.answered_at < 30


def test_retry_after_may_be_a_date_and_nonsense_is_ignored() -> None:
    date = formatdate(time.time() + 30, usegmt=True)
    assert retry_after({"retry-after": date}) == pytest.approx(30, abs=2)
    assert retry_after({"retry-after": formatdate(time.time() - 30, usegmt=True)}) == 0.0
    assert retry_after({"retry-after": "2.5"}) == 2.5
    for nonsense in ("", "soon", "nan", "inf", "-3", "1e400"):
        assert retry_after({"retry-after": nonsense}) is None
    assert retry_after({}) is None


def test_an_excessive_retry_after_is_cut(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LONGEST_WAIT_S", 0.2)
    with LoopbackServer(good) as server, asking(database, server) as model:
        server.script(Failure(429, "come back tomorrow", headers={"retry-after": "86400"}))
        assert model.ask([question()]) == ["tea"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("This model's maximum context length is 4096 tokens.", "longer context"),
        ("'max_tokens' is not supported with this model.", "max_completion_tokens: 8192"),
        ("'response_format' of type 'json_schema' is not supported.", "type: json_object"),
        ("'temperature' does not support 0.2 with this model.", "leave llm.temperature out"),
        ("Something else entirely.", "Something else entirely."),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_refused_request_fails_alone_and_at_once(
    database: Database, words: str, hint: str
) -> None:
    with LoopbackServer(good) as server, asking(database, server, concurrency=1) as model:
        server.script(Failure(400, words))
        failed, answered = model.ask([question("first"), question("second")])
        assert server.count == 2
    assert answered == "tea"
    assert isinstance(failed, RequestRefused)
    assert words in str(failed)
    assert hint in str(failed)
    assert "400" in str(failed)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_every_refusal_of_a_request_is_told_from_a_bad_minute(
    database: Database, status: int
) -> None:
    with LoopbackServer(good) as server, asking(database, server) as model:
        server.script(Failure(status, "not this one"))
        assert isinstance(model.ask([question()])[0], RequestRefused)
        assert server.count == 1


class Nested(BaseHTTPRequestHandler):
    """Sends JSON that is nested deeper than Python reads, and then a completion."""

    choice: ClassVar = {"index": 0, "message": {"role": "assistant", "content": GOOD}}
    bodies = ("[" * 200_000, json.dumps({"object": "chat.completion", "choices": [choice]}))
    sent: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = self.bodies[len(self.sent)]
        self.sent.append(body)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


def test_a_body_nested_deeper_than_python_reads_is_tried_again(database: Database) -> None:
    with HTTPServer(("127.0.0.1", 0), Nested) as server, ThreadPoolExecutor(1) as thread:
        thread.submit(server.serve_forever)
        try:
            with asking(database, f"http://127.0.0.1:{server.server_port}/v1") as model:
                assert model.ask([question()]) == ["tea"]
        finally:
            server.shutdown()
    assert database.rows("SELECT attempts, error FROM llm_calls") == [(2, None)]


@pytest.mark.parametrize(
    ("failure", "remedy"),
    [
        (Failure(401, "no such key"), "environment variable MY_KEY"),
        (Failure(402, "no balance"), "Pay for the account"),
        (Failure(403, "not for you"), "may use model m"),
        (Failure(404, "the model `m` does not exist"), "llm.model=m"),
        (Failure(405, "method not allowed"), "/v1"),
        (Failure(429, "You exceeded your quota.", code="insufficient_quota"), "no quota left"),
    ],
)
def test_what_no_request_can_survive_ends_all_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, failure: Failure, remedy: str
) -> None:
    monkeypatch.setenv("MY_KEY", "a-key-of-mine")
    with LoopbackServer(good) as server, asking(database, server, api_key_env="MY_KEY") as model:
        server.script(failure)
        with pytest.raises(LanguageModelUnusable) as caught:
            model.ask([question()])
        assert server.count == 1
        assert remedy in str(caught.value)
        assert failure.message in str(caught.value)
        assert server.base_url in str(caught.value)
    assert database.rows("SELECT attempts, error FROM llm_calls") == [(1, str(caught.value))]


def test_a_server_that_wants_a_key_nobody_named(database: Database) -> None:
    with (
        LoopbackServer(good, require_key="xyz") as server,
        asking(database, server) as model,
        pytest.raises(LanguageModelUnusable, match=r"llm\.api_key_env"),
    ):
        model.ask([question()])


def test_nothing_listens_there(database: Database) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with (
        asking(database, url, max_retries=2) as model,
        pytest.raises(LanguageModelUnusable) as caught,
    ):
        model.ask([question()])
    assert url in str(caught.value)
    assert "llm.base_url" in str(caught.value)
    assert "`saesage explain CONFIG` with a corrected base_url" in str(caught.value)
    assert database.rows("SELECT attempts, error FROM llm_calls") == [(3, str(caught.value))]


def test_a_server_that_starts_meanwhile_is_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BACK_OFF", wait_fixed(0.2))
    with LoopbackServer(good) as stopped:
        url = stopped.base_url
    port = int(url.removesuffix("/v1").rpartition(":")[2])
    with asking(database, url) as model, ThreadPoolExecutor(1) as thread:
        answers = thread.submit(model.ask, [question()])
        time.sleep(0.1)
        with LoopbackServer(good, port=port) as server:
            assert answers.result() == ["tea"]
            assert server.count == 1
    ((attempts,),) = database.rows("SELECT attempts FROM llm_calls")
    assert attempts > 1


def test_the_others_replies_are_stored_when_one_question_ends_all(database: Database) -> None:
    with LoopbackServer(good) as server, asking(database, server, concurrency=1) as model:
        server.script(None, Failure(404, "gone"))
        with pytest.raises(LanguageModelUnusable):
            model.ask([question("first"), question("second"), question("third")])
        assert server.count == 3
    assert database.rows("SELECT count(*) FROM llm_calls WHERE error IS NULL") == [(2,)]
