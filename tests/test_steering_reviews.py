"""Features that wait for the user: several at once, over restarts, until each is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console

from graphs.config import parse_config
from graphs.records import Answer, Edits, NewExperiment
from graphs.runs import RunStore
from graphs.steering.review import answer, waiting
from graphs.storage import open_database
from graphs.terminal import reviewing
from tests.fakes import FakeSubject
from tests.steered import ANIMALS, RETURN, Cli, make_cli, write_config
from tools.errors import EditRefused, NothingWaits


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    return make_cli(monkeypatch, capsys)


def statuses(cli: Cli, database: Path) -> dict[int, str]:
    found = json.loads(cli("show", database, "--json").out)
    return {record["feature"]: record["status"] for record in found}


def waits(cli: Cli, database: Path) -> list[tuple[int, str]]:
    found = json.loads(cli("review", database, "--json").out)
    return [(each["feature"], each["point"]) for each in found]


def test_several_wait_are_answered_apart_and_go_on(cli: Cli, tmp_path: Path) -> None:
    database = tmp_path / "run.duckdb"
    points = ["--review", "after-hypotheses", "--review", "before-conclusion"]
    begun = cli("explain", write_config(tmp_path), *points)
    assert begun.code == 1
    assert "2 features wait for you: saesage review" in begun.err
    both = [(RETURN, "after-hypotheses"), (ANIMALS, "after-hypotheses")]
    assert waits(cli, database) == both
    # Each command opens the file anew, as after a restart. Going on answers nothing.
    assert cli("resume", database).code == 1
    assert waits(cli, database) == both
    assert "H1 pending: fires on the word return" in cli("review", database).out
    answered = cli("review", database, "--feature", RETURN, "--drop", "H2", "--approve")
    assert answered.code == 1
    assert waits(cli, database) == [(RETURN, "before-conclusion"), both[1]]
    assert statuses(cli, database) == {RETURN: "waiting", ANIMALS: "waiting"}
    hypotheses = json.loads(cli("show", database, RETURN, "--json").out)["hypotheses"]
    assert [h["status"] for h in hypotheses][:2] == ["confirmed", "dropped"]
    assert cli("review", database, "--feature", ANIMALS, "--reject").code == 1
    assert statuses(cli, database)[ANIMALS] == "rejected"
    test = ["--add-experiment", "H1", "list open return", "active"]
    assert cli("review", database, "--feature", RETURN, *test).code == 1
    # What was added was measured, and the user sees it before it is concluded.
    assert waits(cli, database) == [(RETURN, "before-conclusion")]
    shown = json.loads(cli("show", database, RETURN, "--json").out)
    assert shown["experiments"][-1]["supports"] is True
    assert shown["description"] is None
    assert cli("review", database, "--approve").code == 1
    assert statuses(cli, database) == {RETURN: "explained", ANIMALS: "rejected"}
    assert waits(cli, database) == []
    assert cli("review", database).out == "no feature waits for you.\n"
    steps = json.loads(cli("history", database, RETURN, "--json").out)
    asked = [step["changes"] for step in steps if step["status"] == "waiting"]
    assert asked == [["waits for review"]] * 3


def test_a_reworded_hypothesis_takes_the_place_of_the_old_one(cli: Cli, tmp_path: Path) -> None:
    config = write_config(tmp_path, features=[RETURN], review=["after-hypotheses"])
    database = tmp_path / "run.duckdb"
    cli("explain", config, "--set", "policies.design_experiments=symbolic")
    changes = ["--edit", "H3", "Fires on 'return' and ' return'.", "--approve"]
    assert cli("review", database, "--feature", RETURN, *changes).code == 0
    found = json.loads(cli("show", database, RETURN, "--json").out)["hypotheses"]
    assert (found[2]["status"], found[2]["reason"]) == ("refined", "reworded by the user")
    assert (found[4]["parent"], found[4]["status"]) == ("H3", "confirmed")


@pytest.fixture
def paused(cli: Cli, tmp_path: Path) -> Path:
    cli("explain", write_config(tmp_path, review=["after-hypotheses"]))
    return tmp_path / "run.duckdb"


def test_an_answer_that_was_stored_is_not_asked_for_again(cli: Cli, paused: Path) -> None:
    with open_database(str(paused), create=False) as database:
        first, _ = waiting(database)
        answer(database, first.thread, Answer(verdict="approve"), FakeSubject)
        # As if the process was killed here.
        assert [each.feature for each in waiting(database)] == [ANIMALS]
        with pytest.raises(NothingWaits, match="its status is running"):
            answer(database, first.thread, Answer(verdict="reject"), FakeSubject)
    cli("resume", paused)
    assert statuses(cli, paused) == {RETURN: "explained", ANIMALS: "waiting"}


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (Edits(drop=("H9",)), "there is no hypothesis H9"),
        (
            Edits(experiments=(NewExperiment(hypothesis="H1", text="", predicted="active"),)),
            "0 tokens",
        ),
    ],
)
def test_an_edit_that_cannot_be_leaves_the_feature_waiting(
    cli: Cli, paused: Path, edits: Edits, message: str
) -> None:
    with open_database(str(paused), create=False) as database:
        given = Answer(verdict="approve", edits=edits)
        with pytest.raises(EditRefused, match=message):
            answer(database, waiting(database)[0].thread, given, FakeSubject)
        assert len(waiting(database)) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--feature", 5, "--approve"], "no such feature waits"),
        (["--drop", "H2"], "name it with --feature"),
        (["--reject", "--approve"], "choose one"),
        (["--feature", RETURN, "--edit", "H1"], "--edit takes 2 words"),
    ],
)
def test_an_answer_that_cannot_be_meant(
    cli: Cli, paused: Path, options: list[object], message: str
) -> None:
    result = cli("review", paused, *options)
    assert result.code == 2
    assert message in result.err
    assert len(waits(cli, paused)) == 2


def said(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Have the user type these lines, one at each prompt."""
    left = iter(lines)
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: next(left))


def test_a_conversation(monkeypatch: pytest.MonkeyPatch, cli: Cli, paused: Path) -> None:
    given: list[Answer] = []

    def store(one: Answer) -> None:
        if not given:
            given.append(one)
            raise EditRefused("not like this")
        given.append(one)

    with open_database(str(paused), create=False) as database:
        each, config = waiting(database)[0], RunStore(database).latest().config
    said(
        monkeypatch,
        *("what?", "add Fires on ' cat'.", "drop H2 H3", "edit H1 fires on returns"),
        *("test H1 active we return ", "drop H4", "approve", "undo", "approve"),
    )
    console = Console(record=True, width=80)
    assert reviewing.converse(console, each, config, store)
    assert given[0].edits.drop == ("H2", "H3", "H4")
    edits = given[1].edits
    assert [proposal.statement for proposal in edits.add] == ["Fires on the token ' cat'."]
    assert edits.drop == ("H2", "H3")
    assert edits.reword[0].proposal.statement == "fires on returns"
    assert edits.experiments == (
        NewExperiment(hypothesis="H1", text="we return ", predicted="active"),
    )
    told = console.export_text()
    assert "say one of these" in told
    assert "not like this" in told
    said(monkeypatch, "later")
    assert not reviewing.converse(console, each, config, store)
    assert len(given) == 2


def test_whether_the_user_is_asked_makes_another_run(tmp_path: Path) -> None:
    content: dict[str, Any] = {
        "subject": {"factory": "a:b"},
        "corpus": {"source": "x"},
        "features": [1],
    }

    def asked(review: list[str]) -> str:
        return parse_config({**content, "review": review}).config_hash

    assert parse_config(content).config_hash == asked([])
    assert len({asked([]), asked(["after-hypotheses"]), asked(["before-conclusion"])}) == 3
