"""The live page over HTTP: who may ask, what is answered, what is told, and a clean end."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
import typer
import yaml

from graphs.commands import app
from graphs.live.changes import Changes
from graphs.live.commands import DEFAULT_PORT
from graphs.live.page_server import LivePage
from graphs.live.security import LARGEST_BODY
from graphs.live.server import bound
from graphs.projection import thread_of
from graphs.run import finish_run
from graphs.runs import Run, RunStore
from graphs.storage import open_database
from tests.fakes import FakeSubject
from tests.live_pages import (
    ANIMALS,
    DIGITS,
    RETURN,
    Pausing,
    client_of,
    database,
    finished_run,
    live_config,
    page,
    run,
    served,
)
from tools.database import Database
from tools.errors import DatabaseInUse, PortUnusable

__all__ = ["database", "page", "run"]

ROOT = Path(__file__).parent.parent


@pytest.fixture
def client(page: LivePage) -> Iterator[httpx.Client]:
    with client_of(page) as client:
        yield client


def probe(run: Run, text: str, feature: int = RETURN) -> dict[str, Any]:
    return {"run": run.name, "feature": feature, "text": text}


def test_a_probe_gives_what_the_subject_does(client: httpx.Client, run: Run) -> None:
    answer = client.post("/probe", json=probe(run, "return the <i>cat")).json()
    (expected,) = FakeSubject().activations(["return the <i>cat"], [RETURN])
    assert answer["tokens"] == list(expected.tokens)
    assert answer["activations"] == pytest.approx(expected.activations[:, 0].tolist())
    assert answer["activations"][0] > 0
    assert "<i>" not in answer["html"]
    assert answer["scale"] > 0


def test_a_probe_may_be_of_any_length_and_of_any_feature(client: httpx.Client, run: Run) -> None:
    answer = client.post("/probe", json=probe(run, "the cat " * 60, ANIMALS)).json()
    assert len(answer["tokens"]) > FakeSubject().window_size
    assert answer["scale"] is None
    assert max(answer["activations"]) > 0


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (b"not json", "the form"),
        (b"{}", "feature: Field required"),
        (b'{"run": "?", "feature": 0, "text": "a"}', "no run '?'"),
        ({"feature": 999}, "Feature 999"),
        ({"feature": -1}, "feature"),
        ({"text": ""}, "text"),
        ({"text": "a" * 20_001}, "text"),
        ({"more": 1}, "more"),
    ],
)
def test_a_form_that_cannot_be_used_is_told_why(
    client: httpx.Client, run: Run, form: Any, told: str
) -> None:
    content = form if isinstance(form, bytes) else json.dumps({**probe(run, "a cat"), **form})
    answer = client.post("/probe", content=content)
    assert answer.status_code in (404, 422)
    assert told in answer.json()["error"]


def test_other_hosts_and_origins_are_refused(client: httpx.Client, page: LivePage) -> None:
    assert client.get("/").status_code == 200
    own = f"localhost:{page.port}"
    assert client.get("/", headers={"Host": own, "Origin": f"http://{own}"}).status_code == 200
    for name in (
        "evil.example",
        f"evil.example:{page.port}",
        "127.0.0.1",
        f"127.0.0.1.:{page.port}",
    ):
        answer = client.get("/", headers={"Host": name})
        assert answer.status_code == 421
        assert "saesage" not in answer.text
    for origin in (
        "http://evil.example",
        "null",
        f"https://127.0.0.1:{page.port}",
        "http://127.0.0.1:1",
    ):
        for path in ("/", "/events"):
            assert client.get(path, headers={"Origin": origin}).status_code == 403


def test_only_this_machine_is_listened_to(page: LivePage) -> None:
    with bound(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
    assert page.url.startswith(f"http://127.0.0.1:{page.port}/#token=")


def test_whoever_lacks_the_token_cannot_post(client: httpx.Client, run: Run) -> None:
    for token in ("", "guess", "é"):
        headers = {"X-Saesage-Token": token.encode()}
        answer = client.post("/probe", json=probe(run, "a cat"), headers=headers)
        assert answer.status_code == 401
        assert "token" in answer.json()["error"]
    # Neither is it given away.
    for path in ("/", f"/feature/{thread_of(run.name, RETURN)}", "/fragment/overview"):
        assert client.headers["X-Saesage-Token"] not in client.get(path).text


def test_a_request_may_not_be_too_long(client: httpx.Client) -> None:
    assert client.post("/probe", content=b"x" * (LARGEST_BODY + 1)).status_code == 413
    assert client.post("/probe", content=iter([b"x"])).status_code == 411


def test_a_page_runs_nothing_but_its_own_script(client: httpx.Client) -> None:
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", answer.text, re.DOTALL)
    assert [attributes for attributes, _ in scripts] == [""]
    digest = base64.b64encode(hashlib.sha256(scripts[0][1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<[^>]+\son\w+=", answer.text)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_is_not_there_is_told_in_words(client: httpx.Client, run: Run) -> None:
    for path in ("/nothing", f"/feature/{run.name}/999", "/feature/nobody/3", "/feature/x"):
        answer = client.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 404
        assert 'role="alert"' in answer.text
        assert "Traceback" not in answer.text
    assert client.get("/probe").status_code == 405


@pytest.mark.parametrize(
    ("path", "form", "status", "told"),
    [
        ("/fork", {"at": "77"}, 422, "no checkpoint '77'"),
        ("/fork", {}, 422, "nothing is changed"),
        ("/fork", {"edits": {"drop": ["H99"]}}, 422, "no hypothesis H99"),
        ("/fork", {"edits": {"add": ["fires when it rains"]}}, 422, "no rule"),
        ("/fork", {"edits": {"experiments": [["H1", "", "active"]]}}, 422, "0 tokens"),
        ("/fork", {"edits": {"experiments": [["H1", "return", "maybe"]]}}, 422, "maybe"),
        ("/fork", {"settings": ["seed=3"]}, 422, "seed"),
        ("/fork", {"thread": "nobody/0"}, 404, "nobody"),
        ("/fork", {"thread": "nobody"}, 404, "nobody"),
        ("/review", {"verdict": "approve"}, 422, "does not wait"),
        ("/review", {"verdict": "perhaps"}, 422, "verdict"),
    ],
)
def test_steering_that_cannot_be_done_is_told_why_and_changes_nothing(
    client: httpx.Client,
    database: Database,
    run: Run,
    path: str,
    form: dict[str, Any],
    status: int,
    told: str,
) -> None:
    before = len(RunStore(database).all())
    answer = client.post(path, json={"thread": thread_of(run.name, RETURN), **form})
    assert answer.status_code == status
    assert told in answer.json()["error"]
    assert len(RunStore(database).all()) == before


def events(client: httpx.Client, since: str, **headers: str) -> Iterator[tuple[str, Any]]:
    """Mark and content of each change."""
    with client.stream("GET", "/events", params={"since": since}, headers=headers) as answer:
        mark = ""
        for line in answer.iter_lines():
            if line.startswith("id: "):
                mark = line.removeprefix("id: ")
            if line.startswith("data: "):
                yield mark, json.loads(line.removeprefix("data: "))


def test_changes_are_told_once_and_again_to_who_was_away(
    client: httpx.Client, page: LivePage, database: Database, run: Run
) -> None:
    before = page.changes.mark
    coming = events(client, before)
    page.changes.tell("me", "something new")
    mark, change = next(coming)
    assert change == {"threads": [], "status": "something new"}
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO feature_log (thread_id, run, feature, checkpoint_id, status) "
            "VALUES (?, ?, ?, 'zzz', 'explained')",
            [thread_of(run.name, DIGITS), run.name, DIGITS],
        )
    mark, change = next(coming)
    assert change["threads"] == [thread_of(run.name, DIGITS)]
    # Who reconnects says what it heard last; who knows another life of the server hears all.
    assert next(events(client, "", **{"Last-Event-ID": before}))[1]["threads"]
    assert next(events(client, "other-7"))[1]["threads"] is None
    page.changes.tell("me", "")
    assert next(events(client, mark))[1] == {"threads": [], "status": ""}


def test_reading_neither_waits_for_a_writer_nor_sees_half_of_what_it_does(
    client: httpx.Client, database: Database
) -> None:
    before = client.get("/fragment/overview").text
    with database.transaction() as connection:
        connection.execute("UPDATE feature_log SET status = 'undecided'")
        # In another thread than this one, which holds the writers' lock.
        assert client.get("/fragment/overview").text == before
        connection.execute("UPDATE feature_log SET status = 'explained'")


def test_a_feature_is_seen_while_it_runs(tmp_path: Path) -> None:
    config = live_config(tmp_path, [RETURN])
    with open_database(config.database, create=True) as database, served(database) as page:
        run, pausing = RunStore(database).open(config), Pausing("refine_hypotheses")
        instruments = page.workshop.instruments
        going = threading.Thread(
            target=finish_run,
            args=(database, run, page.hearing(pausing)),
            kwargs={"instruments": instruments},
        )
        with client_of(page) as client:
            coming = events(client, page.changes.mark)
            going.start()
            thread = thread_of(run.name, RETURN)
            assert any(thread in change["threads"] for _, change in coming)
            assert pausing.reached.wait(60)
            assert "running" in client.get(f"/fragment/feature/{thread}").text
            busy = client.post("/fork", json={"thread": thread, "settings": ["budget.rounds=9"]})
            assert (busy.status_code, "wait" in busy.json()["error"]) == (422, True)
            # The run has the subject loaded: a probe is answered meanwhile.
            assert client.post("/probe", json=probe(run, "return")).json()["activations"][0] > 0
            pausing.before = ""
            pausing.go_on.set()
            going.join()
            assert "explained" in client.get(f"/fragment/feature/{thread}").text


def test_the_marks_of_changes_count_up(database: Database) -> None:
    changes = Changes(database)
    mark = changes.mark
    changes.look()
    assert changes.since(mark) == (mark, (), "")
    assert changes.since("") == (mark, None, "")


def test_a_port_in_use_is_told(page: LivePage) -> None:
    with pytest.raises(PortUnusable, match=f"port {page.port} is in use.*--port"):
        bound(page.port)


def saesage(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "saesage", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_serve_ends_at_ctrl_c_with_a_browser_still_listening(tmp_path: Path) -> None:
    config = live_config(tmp_path, [RETURN])
    with open_database(config.database, create=True) as database:
        finished_run(database, config)
    with saesage("serve", config.database, "--port", 0) as serving:
        assert serving.stderr is not None
        url = re.search(r"http://\S+", serving.stderr.readline())
        assert url
        address = url[0].partition("/#token=")[0]
        with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
            with pytest.raises(DatabaseInUse, match=str(serving.pid)):
                Database.open(config.database)
            assert client.get("/").status_code == 200
            with client.stream("GET", "/events?since=") as listening:
                next(listening.iter_lines())
                serving.send_signal(signal.SIGINT)
                assert serving.wait(30) == 0
        assert serving.stderr.read() == ""
    with open_database(config.database, create=False) as database:
        assert RunStore(database).latest()


@pytest.mark.parametrize(
    ("watch", "port"),
    [
        ((), None),
        (("--watch",), DEFAULT_PORT),
        (("--watch", "0"), 0),
        (("--watch=0",), 0),
        (("--watch", "--port", "0"), 0),
    ],
)
def test_a_port_may_follow_watch(watch: tuple[str, ...], port: int | None) -> None:
    for name in ("explain", "resume"):
        command: Any = typer.main.get_command(app)
        said = command.commands[name].make_context(name, ["some-file", *watch]).params
        assert (said["port"] if said["watch"] else None) == port


def test_a_watched_run_is_served_to_its_end_and_beyond(tmp_path: Path) -> None:
    config = live_config(tmp_path, [RETURN])
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_none=True)))
    with saesage("explain", path, "--watch", 0) as explaining:
        assert explaining.stderr is not None
        url = re.search(r"http://[\d.:]+", explaining.stderr.readline())
        assert url
        with httpx.Client(base_url=url[0], trust_env=False, timeout=60) as client:
            told = (event["status"] for _, event in events(client, ""))
            assert any("1 of 1 features done" in status for status in told)
            assert "explained" in client.get("/fragment/overview").text
            # Only a process that has ended lets go of its database.
            assert explaining.poll() is None
        explaining.send_signal(signal.SIGINT)
        assert explaining.wait(60) == 0
        assert "Traceback" not in explaining.stderr.read()


def test_serve_refuses_what_it_cannot_serve(tmp_path: Path, page: LivePage) -> None:
    (tmp_path / "empty.duckdb").touch()
    duckdb.connect(str(tmp_path / "new.duckdb")).close()
    (tmp_path / "notes.txt").write_text("no database")
    duckdb.connect(str(tmp_path / "other.duckdb")).execute("CREATE TABLE mine (n INTEGER)").close()
    for name, told in (
        ("none.duckdb", "no database at"),
        ("empty.duckdb", "not a DuckDB file"),
        ("notes.txt", "not a DuckDB file"),
        ("other.duckdb", "not saesage's"),
    ):
        with saesage("serve", tmp_path / name, "--port", 0) as serving:
            _, error = serving.communicate()
            assert (serving.returncode, told in error) == (2, True), error
            assert "Traceback" not in error
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with saesage("serve", tmp_path / "new.duckdb", "--port", port) as serving:
            _, error = serving.communicate()
            assert serving.returncode == 2
            assert f"port {port} is in use" in error


def test_a_server_that_ends_at_once_is_not_announced(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)
    with pytest.raises(PortUnusable, match="could be served"), served(database):
        pytest.fail("it was announced")
