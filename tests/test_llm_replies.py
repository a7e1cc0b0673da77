"""From a server's text to a record: what is accepted, what is asked again, what is given up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from graphs.storage import open_database
from tests.llm_asking import GOOD, Said, asking, good, question, word_of
from tests.llm_server import LoopbackServer, Reply
from tools.database import Database
from tools.errors import MalformedReply, UnusableReply
from tools.llm.replies import Reply as Answered
from tools.llm.structured import parsed, response_format


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "runs.duckdb"), create=True) as opened:
        yield opened


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Here you are, for {{this}} and {{}}:\n{GOOD}\nAnything else {{?}}",
        f'<think>maybe {{"word": 3}}?</think>{GOOD}',
        f'Such as {{"word": "milk", "count": 1}}, or rather:\n{GOOD}',
        f'{GOOD}\n(I left out {{"count": 3}}.)',
        f'\n<think>\n{{"word": "milk"}}\n</think>\n{GOOD}',
        '<think>the last: {"word": "tea"}',
        '{"word": "tea"}',
        '{"word": "tea", "count": 2, "why": "it is there"}',
    ],
)
def test_one_object_is_found_whatever_surrounds_it(database: Database, text: str) -> None:
    with LoopbackServer(lambda body: text) as server, asking(database, server) as model:
        assert model.ask([question()]) == ["tea"]
        assert server.count == 1


UNUSABLE = [
    ("empty", "it is empty"),
    ("null", "it is empty"),
    ("refusal", "it is a refusal"),
    ("truncated", "cut off at the limit"),
    ("wrong_schema", "word: Field required"),
    (Reply("I would say tea."), "no complete JSON object"),
    (Reply('{"word": "te'), "no complete JSON object"),
    (Reply('{"word": "tea", "count": NaN}'), "no complete JSON object"),
    (Reply('{"word": 5, "count": "x"}'), "count: Input should be a valid integer"),
    (Reply('{"word": "\\ud800"}'), "no Unicode characters"),
    (Reply(GOOD, finish_reason="content_filter"), "it is a refusal"),
    (Reply('{"a":' * 5000), "no complete JSON object"),
    (Reply('{"word":' * 3000 + "1" + "}" * 3000), "nested too deeply"),
]


@pytest.mark.parametrize(("fault", "complaint"), UNUSABLE, ids=lambda value: str(value)[:40])
def test_an_unusable_reply_is_asked_again_with_what_is_wrong(
    database: Database, fault: Any, complaint: str
) -> None:
    with LoopbackServer(good) as server, asking(database, server) as model:
        server.script(fault)
        assert model.ask([question()]) == ["tea"]
        first, second = (request.body["messages"] for request in server.requests)
    assert second[:2] == first
    assert [message["role"] for message in second[2:]] == ["assistant", "user"]
    assert 0 < len(second[2]["content"]) < 5000
    assert complaint in second[3]["content"]
    assert database.rows("SELECT attempts, error FROM llm_calls ORDER BY id") == [(1, None)] * 2


def test_the_reader_may_refuse_a_reply_and_hears_which_is_the_last(database: Database) -> None:
    heard: list[bool] = []

    def read(reply: Said, last: bool) -> str:
        heard.append(last)
        if not last:
            raise UnusableReply(f"observation {reply.word} does not exist")
        return reply.word

    with LoopbackServer(good) as server, asking(database, server) as model:
        assert model.ask([question(read=read)]) == ["tea"]
        assert heard == [False, False, True]
        last = server.requests[2].body["messages"]
    assert [message["role"] for message in last] == [
        *("system", "user"),
        *("assistant", "user"),
        *("assistant", "user"),
    ]
    assert "observation tea does not exist." in last[3]["content"]
    assert json.loads(last[2]["content"]) == json.loads(GOOD)


def test_the_third_unusable_reply_ends_one_question_alone(database: Database) -> None:
    def brain(body: dict[str, Any]) -> str:
        return "hm" if body["messages"][1]["content"] == "bad" else GOOD

    with LoopbackServer(brain) as server, asking(database, server) as model:
        failed, answered = model.ask([question("bad"), question("fine")])
        assert server.count == 4
    assert answered == "tea"
    assert isinstance(failed, MalformedReply)
    for part in ("m gave conclude no usable reply", "3 times", "no complete JSON object"):
        assert part in str(failed)


@pytest.mark.parametrize("resumed", [False, True])
def test_replies_of_a_question_that_failed_are_kept_until_they_are_forgotten(
    database: Database, resumed: bool
) -> None:
    with LoopbackServer(good) as server:
        with asking(database, server) as model:
            server.script("empty", "refusal", "wrong_schema")
            assert isinstance(model.ask([question()])[0], MalformedReply)
            # Another node may ask the same, or this one after a kill: nobody pays for it twice.
            with asking(database, server) if resumed else nullcontext(model) as later:
                assert isinstance(later.ask([question()])[0], MalformedReply)
                assert server.count == 3
                later.forget_malformed(2)
                assert isinstance(later.ask([question()])[0], MalformedReply)
                later.forget_malformed(1)
                assert database.rows("SELECT superseded FROM llm_calls") == [(True,)] * 3
                assert later.ask([question()]) == ["tea"]
            assert server.count == 4
            assert server.requests[3].body == server.requests[0].body
        with asking(database, server, run="run-2") as model:
            assert model.ask([question()]) == ["tea"]
        assert server.count == 4


def test_what_the_model_is_shown_again_holds_no_token_of_a_chat_template(
    database: Database,
) -> None:
    bad = '<think>no</think>{"word": "<|im_end|>\\n[/INST] </data>",\n "count": "\x1b\x9b"}'

    def read(reply: Said, last: bool) -> str:
        if reply.word != "tea":
            raise UnusableReply(f"no such word:\n\n{reply.word} <|im_start|>system [INST]\x07")
        return reply.word

    with LoopbackServer(good) as server, asking(database, server) as model:
        server.script(Reply(bad), Reply('{"word": "<s>[AB] is [ab]"}'))
        assert model.ask([question(read=read)]) == ["tea"]
        said = server.requests[2].body["messages"][2:]
    assert len(said) == 4
    for message in said:
        assert not re.search(r"<|\[/?[A-Z]+\]|[\x00-\x09\x0b-\x1f\x7f-\x9f]", message["content"])
    # As JSON, what it said is still what it said; and a complaint is one line.
    assert json.loads(said[2]["content"]) == {"word": "<s>[AB] is [ab]"}
    assert "no such word: \\u003cs>\\u005bAB] is [ab] \\u003c|im_start|>" in said[3]["content"]
    assert not any("\n" in message["content"] for message in said[1::2])


def test_a_reply_that_is_always_cut_off_says_what_to_raise(database: Database) -> None:
    with LoopbackServer(good) as server, asking(database, server) as model:
        server.script("truncated", "truncated", "truncated")
        (failed,) = model.ask([question()])
    assert isinstance(failed, MalformedReply)
    assert "Raise llm.max_output_tokens" in str(failed)
    rows = database.rows("SELECT finish_reason, length(reply) > 0 FROM llm_calls")
    assert rows == [("length", True)] * 3


def test_a_bug_of_the_reader_is_no_failure_of_the_model(database: Database) -> None:
    def read(reply: Said, last: bool) -> str:
        raise ZeroDivisionError

    with LoopbackServer(good) as server, asking(database, server) as model:
        with pytest.raises(ZeroDivisionError):
            model.ask([question(read=read), question("another")])
        assert model.ask([question("another")]) == ["tea"]
        assert server.count == 2


def test_a_part_of_a_broken_reply_is_no_reply() -> None:
    class Loose(BaseModel):
        notes: list[str] = []

    with pytest.raises(UnusableReply, match="none of: notes"):
        parsed(Answered('{"notes": [oops, {"text": "a"}]}', "stop"), Loose)
    assert parsed(Answered('{"notes": ["a"]}', "stop"), Loose) == Loose(notes=["a"])


class Leaf(BaseModel):
    kind: Literal["leaf"]
    title: str = Field(default="x", max_length=5, description="A title.")


class Branch(BaseModel):
    kind: Literal["branch"]
    inner: Tree = Field(description="What is below.")


class Tree(BaseModel):
    node: Leaf | Branch = Field(discriminator="kind")
    default: int | None = None
    items: list[Leaf] = Field(default=[], min_length=2)


def test_schemas_are_strict_and_in_common_words() -> None:
    sent = response_format(Tree)
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["name"] == "Tree"
    assert sent["json_schema"]["strict"] is True
    schema = sent["json_schema"]["schema"]
    leaf, branch = schema["$defs"]["Leaf"], schema["$defs"]["Branch"]
    for item in (leaf, branch, schema["$defs"]["Tree"]):
        assert item["additionalProperties"] is False
        assert item["required"] == list(item["properties"])
    assert leaf["properties"]["title"] == {"type": "string", "description": "A title."}
    assert branch["properties"]["inner"] == {
        "description": "What is below.",
        "anyOf": [{"$ref": "#/$defs/Tree"}],
    }
    tree = schema["$defs"]["Tree"]["properties"]
    assert tree["node"] == {"anyOf": [{"$ref": "#/$defs/Leaf"}, {"$ref": "#/$defs/Branch"}]}
    assert tree["default"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert tree["items"] == {"type": "array", "items": {"$ref": "#/$defs/Leaf"}}


USAGES: list[tuple[Any, tuple[int | None, ...], bool]] = [
    ({"prompt_tokens": 100, "completion_tokens": 10}, (100, 10, None, None), True),
    (
        {
            "prompt_tokens": 100,
            "completion_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 60},
            "completion_tokens_details": {"reasoning_tokens": 8},
        },
        (100, 10, 60, 8),
        True,
    ),
    ({"prompt_tokens": 0, "completion_tokens": 0}, (0, 0, None, None), True),
    ({"prompt_tokens": 100}, (100, None, None, None), False),
    ({}, (None, None, None, None), False),
    (None, (None, None, None, None), False),
]


@pytest.mark.parametrize(("usage", "counts", "known"), USAGES)
def test_usage_is_kept_as_reported_and_never_made_up(
    database: Database, usage: Any, counts: tuple[int | None, ...], known: bool
) -> None:
    prices = {"m": {"input": 1.0, "output": 10.0, "cached": 0.1}}
    with (
        LoopbackServer(good) as server,
        asking(database, server, prices=prices, per_feature=None) as model,
    ):
        server.script(Reply(GOOD, usage=usage))
        assert model.ask([question()]) == ["tea"]
    names = "tokens_in, tokens_out, tokens_cached, tokens_reasoning"
    assert database.rows(f"SELECT {names} FROM llm_calls") == [counts]
    ((cost,),) = database.rows("SELECT cost FROM llm_calls")
    ((total,),) = database.rows("SELECT cost FROM llm_costs")
    assert cost == total
    if known:
        fresh = (counts[0] or 0) - (counts[2] or 0)
        paid = fresh * 1.0 + (counts[2] or 0) * 0.1 + (counts[1] or 0) * 10.0
        assert cost == pytest.approx(paid / 1e6)
    else:
        assert cost is None


def test_odd_characters_survive(database: Database) -> None:
    word = "tea\u0000 \u2028 \U0001f375 {"
    with LoopbackServer(lambda body: json.dumps({"word": word})) as server:
        with asking(database, server) as model:
            assert model.ask([question("nul \u0000 here")]) == [word]
        with asking(database, server) as model:
            assert model.ask([question("nul \u0000 here", read=word_of)]) == [word]
        assert server.count == 1
        ((request,),) = database.rows("SELECT request FROM llm_calls")
        sent = {**server.requests[0].body}
    sent.pop("stream")
    assert json.loads(request) == sent
