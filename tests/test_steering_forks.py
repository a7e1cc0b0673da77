"""Forks: tested and counted like anything else, beside an original that stays as it was."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

import saesage
from graphs.projection import thread_of
from graphs.records import Edits, NewExperiment
from graphs.runs import Run, RunStore
from graphs.steering.checkpoints import placed
from graphs.steering.fork import fork
from graphs.storage import open_database
from tests.fakes import FakeSubject
from tests.steered import ANIMALS, RETURN, Cli, make_cli, rows_of_thread, write_config
from tools.errors import (
    CheckpointNotFound,
    ConfigError,
    EditRefused,
    FeatureBusy,
    RuleError,
    RunNotFound,
    SaesageError,
)

ADDED = "Fires on ' cat', 'cat', ' dog' and 'dog'."


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    return make_cli(monkeypatch, capsys)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["saesage", "explain", str(write_config(folder))])
        with pytest.raises(SystemExit):
            saesage.main()
    return folder / "run.duckdb"


@pytest.fixture
def database(finished: Path, tmp_path: Path) -> Path:
    path = tmp_path / "run.duckdb"
    shutil.copy(finished, path)
    return path


def latest(path: Path) -> Run:
    with open_database(str(path), create=False) as opened:
        return RunStore(opened).latest()


def shown(cli: Cli, database: Path, feature: int, *options: object) -> dict[str, Any]:
    return json.loads(cli("show", database, feature, "--json", *options).out)


def step_after(cli: Cli, database: Path, node: str) -> str:
    entries = json.loads(cli("history", database, RETURN, "--json").out)
    return next(str(entry["step"]) for entry in entries if entry["node"] == node)


def test_what_is_added_is_tested_and_the_original_stays_byte_for_byte(
    cli: Cli, database: Path
) -> None:
    thread = thread_of(latest(database).name, RETURN)
    before_shown = shown(cli, database, RETURN)
    with open_database(str(database), create=False) as opened:
        before = rows_of_thread(opened, thread)
    at = step_after(cli, database, "generate_hypotheses")
    edits = ["--add-hypothesis", ADDED, "--drop", "H2", "--name", "animals"]
    tests = ["--add-experiment", "H5", "a dog", "active", "--add-experiment", "H1", "x", "inactive"]
    settings = ["--set", "policies.design_experiments=symbolic"]
    assert cli("fork", database, RETURN, "--at", at, *edits, *tests, *settings).code == 0
    forked = shown(cli, database, RETURN, "--run", "animals")
    statuses = {h["id"]: h for h in forked["hypotheses"]}
    assert (statuses["H5"]["status"], statuses["H5"]["note"]) == ("refuted", "added by the user")
    assert statuses["H2"]["status"] == "dropped"
    assert "pending" in statuses["H2"]["reason"]
    own = [e for e in forked["experiments"] if e["text"] in ("a dog", "x")]
    assert [(e["hypothesis"], e["outcome"], e["supports"]) for e in own] == [
        ("H5", "inactive", False),
        ("H1", "inactive", True),
    ]
    assert own[0]["observation"] in statuses["H5"]["contradicting"]
    assert len([e for e in forked["experiments"] if e["hypothesis"] == "H5"]) > 2
    assert not [e for e in forked["experiments"] if e["hypothesis"] == "H2"]
    with open_database(str(database), create=False) as opened:
        assert rows_of_thread(opened, thread) == before
        assert all(before[table] for table in before if table != "checkpoint_writes")
    after_shown = shown(cli, database, RETURN)
    assert [m["run"].rpartition("~")[2] for m in after_shown["side_by_side"]][1:] == ["animals"]
    assert {**after_shown, "side_by_side": 0} == {**before_shown, "side_by_side": 0}


def test_a_concluded_feature_goes_back_to_testing(cli: Cli, database: Path) -> None:
    before = shown(cli, database, RETURN)
    test = ["--add-experiment", "H1", "list open return", "active"]
    done = cli("fork", database, RETURN, *test, "--json")
    assert done.code == 0
    said = json.loads(done.out)
    assert said["thread"] == f"{latest(database).name}~{RETURN}-1/{RETURN}"
    assert said["status"] == "explained"
    after = shown(cli, database, RETURN, "--run", f"{RETURN}-1")
    assert len(after["experiments"]) == len(before["experiments"]) + 1
    hypothesis = after["hypotheses"][0]
    assert len(hypothesis["supporting"]) == len(before["hypotheses"][0]["supporting"]) + 1
    assert after["confidence"] > before["confidence"]
    assert after["forked_from"]["edits"]["experiments"][0]["text"] == "list open return"
    nodes = [
        entry["node"]
        for entry in json.loads(
            cli("history", database, RETURN, "--run", f"{RETURN}-1", "--json").out
        )
    ]
    assert nodes[:3] == [None, "run_experiments", "analyze_evidence"]
    assert nodes[-1] == "conclude"


def test_from_every_checkpoint_the_same_is_found_if_nothing_is_changed(
    cli: Cli, database: Path
) -> None:
    original = shown(cli, database, RETURN)
    with open_database(str(database), create=False) as opened:
        run = RunStore(opened).latest()
        thread = thread_of(run.name, RETURN)
        steps = [each.step for each in placed(opened, thread)][:-1]
        for step in steps:
            fork(opened, thread, FakeSubject, at=str(step), name=f"s{step}")
    assert cli("resume", database).code == 0
    assert len(steps) > 5
    kept = ("description", "confidence", "status", "hypotheses", "experiments", "claims")
    for step in steps:
        again = shown(cli, database, RETURN, "--run", f"s{step}")
        assert {key: again[key] for key in kept} == {key: original[key] for key in kept}


def test_resume_runs_and_export_know_forks(cli: Cli, database: Path) -> None:
    run = latest(database)
    edits = Edits(
        experiments=(NewExperiment(hypothesis="H1", text="dog return", predicted="active"),)
    )
    with open_database(str(database), create=False) as opened:
        thread = fork(opened, thread_of(run.name, RETURN), FakeSubject, edits=edits, name="later")
    rows = json.loads(cli("runs", database, "--json").out)
    assert [row["features"] for row in rows] == [{"explained": 2}, {"pending": 1}]
    assert rows[1]["forked_from"] == thread_of(run.name, RETURN)
    assert cli("resume", database).code == 0
    lines = [json.loads(line) for line in cli("export", database).out.splitlines()]
    assert [(line["feature"], line["run"]) for line in lines] == [
        (RETURN, run.name),
        (ANIMALS, run.name),
        (RETURN, f"{run.name}~later"),
    ]
    assert lines[0]["forked_from"] is None
    assert lines[2]["forked_from"]["thread"] == thread_of(run.name, RETURN)
    assert lines[2]["status"] == "explained"
    # A fork may be forked, and stands beside those of the run it goes back to.
    again = cli("fork", database, RETURN, "--run", "later", "--drop", "H3", "--name", "deeper")
    assert again.code == 0
    beside = shown(cli, database, RETURN)["side_by_side"]
    assert [member["run"] for member in beside] == [
        run.name,
        f"{run.name}~later",
        f"{run.name}~deeper",
    ]
    assert beside[2]["forked_from"]["thread"] == thread
    assert beside[2]["hypotheses"]["H3"] == "dropped"
    # Neither the newest run nor one to go on with is a fork.
    assert latest(database) == run


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"at": "99"}, CheckpointNotFound, "steps 1 to"),
        ({"at": "ffff"}, CheckpointNotFound, "no checkpoint 'ffff'"),
        ({"at": "1f"}, CheckpointNotFound, "several checkpoints '1f'"),
        ({}, EditRefused, "nothing is changed"),
        ({"edits": {"drop": ["H9"]}}, EditRefused, "there are: H1, H2, H3, H4"),
        ({"edits": {"drop": ["H1", "H2", "H3"]}}, EditRefused, "nothing would be left"),
        ({"edits": {"experiments": [("H1", "", "active")]}}, EditRefused, "0 tokens"),
        ({"edits": {"experiments": [("H1", "a " * 99, "active")]}}, EditRefused, "32 fit"),
        ({"edits": {"experiments": [("H1", "we return it", "active")]}}, EditRefused, "already"),
        ({"edits": {"experiments": [("H7", "x", "active")]}}, EditRefused, "no hypothesis H7"),
        ({"edits": {"add": [{"statement": " "}]}}, EditRefused, "needs words"),
        ({"edits": {"add": [{"statement": "x", "rule": {"a": 1}}]}}, RuleError, "rule"),
        ({"settings": ["corpus.max_tokens=9"]}, ConfigError, "measured with"),
        ({"settings": ["budget.round=9"]}, ConfigError, "did you mean 'rounds'"),
        ({"settings": ["budget.experiments=5"], "edits": {"add": [{"statement": "x"}]}},
         EditRefused, "budget.rounds=20"),
        ({"settings": ["budget.rounds=3"], "name": "a/b"}, EditRefused, "no name"),
        ({"thread": "nobody/0"}, RunNotFound, "nobody"),
        ({"feature": 5}, RunNotFound, "no feature 5"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_changes_nothing(
    database: Path, changes: dict[str, Any], error: type[SaesageError], message: str
) -> None:
    given = dict(changes)
    with open_database(str(database), create=False) as opened:
        run = RunStore(opened).latest()
        thread = given.pop("thread", thread_of(run.name, given.pop("feature", RETURN)))
        if "edits" in given:
            given["edits"] = edits_from(given["edits"])
        with pytest.raises(error, match=message):
            fork(opened, thread, FakeSubject, **given)
        assert RunStore(opened).all() == [run]
        assert opened.rows("SELECT count(*) FROM forks") == [(0,)]


def edits_from(content: dict[str, Any]) -> Edits:
    names = ("hypothesis", "text", "predicted")
    tests = [dict(zip(names, test, strict=True)) for test in content.get("experiments", ())]
    return Edits.model_validate({**content, "experiments": tests})


def test_a_name_is_given_once(cli: Cli, database: Path) -> None:
    assert cli("fork", database, RETURN, "--drop", "H3", "--name", "mine").code == 0
    result = cli("fork", database, RETURN, "--drop", "H2", "--name", "mine")
    assert result.code == 2
    assert "has a fork 'mine' already" in result.err


def test_a_feature_that_is_being_explained_is_not_forked(database: Path) -> None:
    with open_database(str(database), create=False) as opened:
        run = RunStore(opened).latest()
        thread = thread_of(run.name, RETURN)
        edits = Edits(drop=("H3",))
        fork(opened, thread, FakeSubject, edits=edits, name="begun")
        begun = RunStore(opened).named("begun")
        with pytest.raises(FeatureBusy, match="saesage resume"):
            fork(opened, thread_of(begun.name, RETURN), FakeSubject, edits=edits)


@pytest.mark.parametrize(
    "command",
    [
        ["history", RETURN],
        ["fork", RETURN, "--drop", "H1"],
        ["review"],
        ["review", "--approve"],
        ["show", RETURN, "--at", "2"],
    ],
)
def test_a_database_that_cannot_be_used_is_left_alone(
    cli: Cli, tmp_path: Path, command: list[object]
) -> None:
    name, *rest = command
    foreign = tmp_path / "other.duckdb"
    duckdb.connect(str(foreign)).execute("CREATE TABLE mine (n INTEGER)").close()
    content = foreign.read_bytes()
    for path in (tmp_path / "none.duckdb", foreign):
        result = cli(name, path, *rest)
        assert result.code == 2
        assert result.err.count("error: ") == 1
    assert foreign.read_bytes() == content
    empty = tmp_path / "empty.duckdb"
    duckdb.connect(str(empty)).close()
    assert cli(name, empty, *rest).code == (0 if command == ["review"] else 2)


def test_a_database_that_another_process_holds_is_not_forked(cli: Cli, database: Path) -> None:
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); "
        "sys.stdin.read(); c.close()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        result = cli("fork", database, RETURN, "--drop", "H3")
        assert (result.code, str(holder.pid) in result.err) == (2, True)
        holder.communicate("")
    assert len(json.loads(cli("runs", database, "--json").out)) == 1


def test_words_of_an_option_that_are_missing(cli: Cli, database: Path) -> None:
    result = cli("fork", database, RETURN, "--add-experiment", "H1", "text")
    assert result.code == 2
    assert "--add-experiment takes 3 words" in result.err
    result = cli("fork", database, RETURN, "--add-experiment", "H1", "text", "maybe")
    assert result.code == 2
    assert "not 'maybe'" in result.err
    result = cli("fork", database, RETURN, "--add-experiment=H1")
    assert result.code == 2
    assert "--add-experiment and its words apart" in result.err
