"""What the client sends, to whom, and that keys go nowhere else."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypedDict

import pytest
from langgraph.graph import StateGraph

from graphs.config import parse_config
from graphs.storage import open_database
from tests.llm_asking import GOOD, Said, asking, good, question
from tests.llm_server import LoopbackServer, Reply
from tools.database import Database
from tools.errors import ConfigError, LanguageModelUnusable
from tools.llm.chat import Chat, http_client
from tools.llm.openai_model import OpenAIModel
from tools.llm.settings import LlmBudget, LlmSettings

PLANTED = "sk-planted-5f1d8c3b9a7e4f60"
MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "runs.duckdb"), create=True) as opened:
        yield opened


def body_of(**settings: Any) -> dict[str, Any]:
    whole = LlmSettings.model_validate({"model": "m", **settings})
    return dict(Chat(whole, http_client(1)).request(MESSAGES, Said).body)


def test_the_ledger_has_what_the_server_saw(database: Database) -> None:
    extra = {"seed": 7, "chat_template_kwargs": {"enable_thinking": False}}
    with (
        LoopbackServer(good) as server,
        asking(database, server, temperature=0.0, reasoning_effort="low", extra_body=extra) as m,
    ):
        assert m.ask([question("Which?")]) == ["tea"]
        (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    sent = {key: value for key, value in request.body.items() if key != "stream"}
    assert request.body["stream"] is False
    assert sent == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Answer."},
            {"role": "user", "content": "Which?"},
        ],
        "max_tokens": 8192,
        "temperature": 0.0,
        "reasoning_effort": "low",
        "seed": 7,
        "chat_template_kwargs": {"enable_thinking": False},
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "Said",
                "strict": True,
                "schema": {
                    "type": "object",
                    "properties": {
                        "word": {"type": "string"},
                        "count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                    },
                    "required": ["word", "count"],
                    "additionalProperties": False,
                },
            },
        },
    }
    names = "run, feature, role, model, prompt_hash, request"
    ((*facts, stored),) = database.rows(f"SELECT {names} FROM llm_calls")
    assert facts == ["run-1", 1, "conclude", "m", "a1b2"]
    assert json.loads(stored) == sent


def test_what_is_not_set_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    body = body_of()
    assert body.keys() == {"model", "messages", "response_format", "max_completion_tokens"}
    assert body["max_completion_tokens"] == 8192


def test_the_token_limit_has_the_name_that_the_server_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    local = body_of(base_url="http://localhost:11434/v1", max_output_tokens=99)
    assert local["max_tokens"] == 99
    assert "max_completion_tokens" not in local
    own = body_of(base_url="https://api.openai.com/v1", max_output_tokens=99)
    assert own["max_completion_tokens"] == 99
    assert "max_tokens" not in own
    extra = {"max_completion_tokens": 5}
    mine = body_of(base_url="https://gateway.example/v1", extra_body=extra)
    assert mine["max_completion_tokens"] == 5
    assert "max_tokens" not in mine


def test_each_role_has_its_own_model_server_and_parameters(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMMON_KEY", "common-key")
    monkeypatch.setenv("OTHER_KEY", "other-key")
    with LoopbackServer(good) as server, LoopbackServer(good) as other:
        roles = {
            "generate_hypotheses": {"model": "strong", "temperature": 1.0},
            "analyze_evidence": {"base_url": other.base_url, "model": "small"},
            "review": {"base_url": other.base_url, "api_key_env": "OTHER_KEY"},
        }
        with asking(database, server, api_key_env="COMMON_KEY", roles=roles) as model:
            asked = ("generate_hypotheses", "analyze_evidence", "review", "conclude")
            assert model.ask([question(role, role=role) for role in asked]) == ["tea"] * 4
        ours = {r.body["model"]: r for r in server.requests}
        theirs = {r.body["model"]: r for r in other.requests}
    assert ours.keys() == {"strong", "m"}
    assert ours["strong"].body["temperature"] == 1.0
    assert "temperature" not in ours["m"].body
    assert {r.headers["authorization"] for r in ours.values()} == {"Bearer common-key"}
    # The common key is not meant for the other server.
    assert theirs["small"].headers["authorization"] == "Bearer none"
    assert theirs["m"].headers["authorization"] == "Bearer other-key"
    rows = database.rows("SELECT role, model FROM llm_calls ORDER BY role")
    assert ("generate_hypotheses", "strong") in rows
    assert ("analyze_evidence", "small") in rows


def test_the_environment_decides_neither_server_nor_key(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/elsewhere")
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    with LoopbackServer(good) as server, asking(database, server) as model:
        assert model.ask([question()]) == ["tea"]
        assert PLANTED not in str(server.requests)
    chat = Chat(LlmSettings(model="m"), http_client(1))
    assert chat.server.base_url == "https://api.openai.com/v1"


@pytest.mark.parametrize("mode", ["messages", "values"])
def test_whoever_watches_the_graph_does_not_change_what_is_sent(
    database: Database, mode: Literal["messages", "values"]
) -> None:
    with LoopbackServer(good) as server, asking(database, server) as model:
        builder = StateGraph(_Words)
        builder.add_node("node", lambda state: {"words": model.ask([question()])})
        builder.set_entry_point("node")
        list(builder.compile().stream({"words": []}, stream_mode=mode))
        (request,) = server.requests
    assert request.body["stream"] is False
    assert database.rows("SELECT tokens_in > 0 FROM llm_calls") == [(True,)]


class _Words(TypedDict):
    words: list[str]


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_key_is_told_before_anything_is_sent(
    database: Database, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_KEY", value)
    with LoopbackServer(good) as server:
        roles = {"review": {"api_key_env": "MY_KEY"}}
        for settings in ({"api_key_env": "MY_KEY"}, {"roles": roles}):
            wanted = pytest.raises(ConfigError, match=r"variable MY_KEY.*export MY_KEY=")
            with wanted, asking(database, server, **settings):
                pass
        assert server.count == 0
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        body_of()


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://host/v1", "http://", "http://a:b/v1", "http://[/v1", ""]
)
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(ConfigError, match=r"llm\.base_url.*http://localhost:8000/v1"):
        body_of(base_url=url)


@pytest.mark.parametrize("path", ["llm", "llm.roles.review"])
@pytest.mark.parametrize("address", ["http://user:s3cret@host/v1", "user:s3cret@host", "k:s3cret@"])
def test_a_password_in_an_address_is_refused_and_not_repeated(path: str, address: str) -> None:
    llm: dict[str, Any] = {"model": "m", "base_url": address}
    if path != "llm":
        llm = {"model": "m", "roles": {"review": {"base_url": address}}}
    subject = {"model": "m", "sae": {"path": "s"}}
    with pytest.raises(ConfigError, match=rf"{path}\.base_url: .* api_key_env") as caught:
        parse_config({"subject": subject, "features": [1], "llm": llm})
    assert "s3cret" not in str(caught.value)


def test_the_key_is_in_no_file_message_or_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", PLANTED)
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "runs.duckdb"
    said: list[str] = []
    with LoopbackServer(good, require_key="another") as server:
        with open_database(str(path), create=True) as database:
            with asking(database, server, api_key_env="MY_KEY") as model:
                with pytest.raises(LanguageModelUnusable) as caught:
                    model.ask([question()])
                said += traceback.format_exception(caught.value)
                assert server.requests[0].headers["authorization"] == f"Bearer {PLANTED}"
            stored = path.read_bytes() + path.with_suffix(".duckdb.wal").read_bytes()
        stored += path.read_bytes()
    said += [record.getMessage() for record in caplog.records]
    assert "Incorrect API key provided: [key]" in "".join(said)
    for part in (PLANTED, PLANTED[:8], PLANTED[-4:]):
        assert part not in "".join(said)
        assert part.encode() not in stored


@pytest.mark.parametrize("key", ["plain-key-without-prefix", "k3y!"])
def test_a_key_that_a_server_repeats_is_not_repeated(
    database: Database, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    with LoopbackServer(good) as server, asking(database, server, api_key_env="MY_KEY") as model:
        server.script(Reply(json.dumps({"word": f"you sent {key}"})), Reply(GOOD))
        assert key not in str(model.ask([question()]))
    assert key not in str(database.rows("SELECT reply, request FROM llm_calls"))


def test_without_a_key_nothing_is_taken_for_one(database: Database) -> None:
    with LoopbackServer(good) as server, asking(database, server) as model:
        server.script(Reply(json.dumps({"word": "none"})))
        assert model.ask([question()]) == ["none"]


@pytest.mark.parametrize("key", ["\u201csecret123\u201d", "two words", "tab\there"])
def test_a_key_that_no_server_could_get_is_refused_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    settings = LlmSettings(model="m", base_url="http://127.0.0.1:1/v1", api_key_env="MY_KEY")
    nothing = LlmBudget()
    with pytest.raises(ConfigError, match="MY_KEY holds a character") as caught:
        OpenAIModel(settings, database, "run-1", per_feature=nothing, per_run=nothing)
    assert key not in str(caught.value)
