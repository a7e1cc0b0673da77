"""A planted key through a whole run: no output and no file has it, right or wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import SecretStr
from tenacity import wait_fixed

from tests.llm_explaining import make_subject, saesage_says, write_config
from tests.llm_server import Failure, LoopbackServer
from tests.llm_server.scientist import scientist
from tools.llm import sending
from tools.llm.failures import Server

PLANTED = "planted-kq7zv5my0twrjx3p"
"""Not of hexadecimal digits: hashes are shown, and one may hold any four of them."""


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "BACK_OFF", wait_fixed(0.01))


@pytest.mark.parametrize("echoed", [False, True], ids=["in_part", "whole"])
def test_a_wrong_key_that_the_server_repeats_is_nowhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    echoed: bool,
) -> None:
    faults = [Failure(401, f"Incorrect API key provided: {PLANTED}.")] * 9 if echoed else []
    wanted = None if echoed else "another-key"
    with LoopbackServer(scientist, require_key=wanted, faults=faults) as server:
        text = run(tmp_path, monkeypatch, capfd, server, code=2)
        assert server.count >= 1
        check_sent(server)
    assert "MY_KEY" in text
    assert "Incorrect API key provided" in text
    check_nowhere(tmp_path, text)


def test_the_right_key_is_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    faults = [Failure(500, f"cannot log {PLANTED}"), Failure(400, f"Bearer {PLANTED} is odd")]
    with LoopbackServer(scientist, require_key=PLANTED, faults=faults) as server:
        text = run(tmp_path, monkeypatch, capfd, server, code=1)
        assert server.count > 5
        check_sent(server)
    assert "is odd" in text
    check_nowhere(tmp_path, text)


@pytest.mark.parametrize("key", [PLANTED, "sk-a/b+c"])
def test_a_key_that_json_hides_is_found(key: str) -> None:
    server = Server("m", "http://host/v1", "MY_KEY", SecretStr(key))
    first, rest = key[0], key[1:]
    for hidden in (f"\\u{ord(first):04x}{rest}", key.replace("/", "\\/")):
        reply = f'{{"word": "tea {hidden}", "other": "\\u00e9 \\n"}}'
        assert key not in json.loads(server.without_key(reply))["word"]
    harmless = '{"word": "\\u0041 \\/ \\u00e9"}'
    assert server.without_key(harmless) == harmless


def run(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    server: LoopbackServer,
    code: int,
) -> str:
    monkeypatch.setenv("MY_KEY", PLANTED)
    make_subject(folder)
    config = write_config(
        folder / "run.yaml", folder, [13, 31], base_url=server.base_url, api_key_env="MY_KEY"
    )
    said = saesage_says(capfd, "explain", config)
    assert said.code == code
    shown = saesage_says(capfd, "show", folder / "run.duckdb")
    return said.text + shown.text + saesage_says(capfd, "export", folder / "run.duckdb").text


def check_sent(server: LoopbackServer) -> None:
    sent = {request.headers["authorization"] for request in server.requests}
    assert sent == {f"Bearer {PLANTED}"}


def check_nowhere(folder: Path, text: str) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert folder / "run.duckdb" in files
    # The server shows these parts of a key it refuses.
    for part in (PLANTED, PLANTED[:8], PLANTED[-4:]):
        # Four characters may stand in a file by chance.
        found = [path for path in files if part.encode() in path.read_bytes()]
        assert found == [] or len(part) == 4
        assert part not in text
