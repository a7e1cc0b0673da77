"""A subject of one's own: named in the configuration, found, checked, and used by every command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from graphs.commands import app
from graphs.config import RunConfig, SubjectConfig, parse_config
from graphs.config_file import load_config
from graphs.subjects import open_subject
from tests.fakes import FakeSubject, fake_corpus
from tools.errors import ConfigError, SubjectError

FILES = {
    "model": "some/model",
    "sae": {"release": "a-release", "id": "an-id"},
}
HASH_BEFORE_FACTORIES = "701cd47b7542f5247be6277f70d9230cc838a2027b6a78f7c07827777c36dfd0"
"""What the configuration below hashed to when `factory` was no key yet."""

MINE = """
from tests.fakes import FakeSubject

def subject():
    return FakeSubject()

def broken():
    raise RuntimeError("no weights today")

def nothing():
    return object()

class Half:
    info = None
    def tokenize(self, text):
        return []
"""


def config(subject: dict[str, Any], **more: Any) -> RunConfig:
    return parse_config(
        {"subject": subject, "corpus": {"source": "python-stdlib"}, "features": [1], **more}
    )


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that holds a module `mine` with factories."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ({}, "subject: give both model and sae, or factory"),
        ({"model": "m"}, "give both model and sae, or factory"),
        ({"sae": {"path": "p"}}, "give both model and sae, or factory"),
        ({**FILES, "factory": "a:b"}, "factory takes the place of model, sae"),
        ({"factory": "a:b", "device": "cpu"}, "factory takes the place of model, sae, device"),
        ({"factory": "a.b"}, "'a.b' is no import path such as"),
        ({"factory": "a b:c"}, "'a b:c' is no import path such as"),
        ({"factori": "a:b"}, "did you mean 'factory'?"),
    ],
)
def test_exactly_one_way_is_asked_for(subject: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(subject)
    assert message in str(caught.value)


def test_hashes_of_older_runs_are_unchanged() -> None:
    assert config({"model": "m", "sae": {"path": "p"}}).config_hash == HASH_BEFORE_FACTORIES


def test_the_factory_is_part_of_the_hash() -> None:
    one, other = (config({"factory": f"mine:{name}"}) for name in ("one", "other"))
    assert one.config_hash != other.config_hash
    assert config({"factory": "mine:one"}).config_hash == one.config_hash


@pytest.mark.parametrize("subject", [{"factory": "mine:subject"}, FILES])
def test_a_stored_configuration_reads_back_the_same(subject: dict[str, Any]) -> None:
    made = config(subject)
    again = parse_config(json.loads(made.model_dump_json()))
    assert again == made
    assert again.config_hash == made.config_hash


def test_paths_are_resolved_around_a_factory(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(config({"factory": "mine:subject"}).model_dump_json())
    assert load_config(path).subject == SubjectConfig(factory="mine:subject")


def test_what_the_factory_makes_is_used(mine: Path) -> None:
    assert isinstance(open_subject(SubjectConfig(factory="mine:subject")), FakeSubject)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("absent_module:subject", "subject factory module 'absent_module' cannot be imported"),
        ("mine:absent", "module 'mine' has no subject factory 'absent'"),
        ("mine:broken", r"'mine:broken' failed \(mine.py, line 8\): RuntimeError\('no weights"),
        ("mine:nothing", "'mine:nothing' gave <object .* is no Subject"),
        ("mine:Half", "is no Subject: see tools/activations.py"),
        ("mine:MISSING.x", "is no import path"),
    ],
)
def test_what_is_wrong_with_a_factory_is_named(mine: Path, factory: str, message: str) -> None:
    with pytest.raises((SubjectError, ConfigError), match=message):
        open_subject(config({"factory": factory}).subject)


def test_every_command_works_with_a_factory(mine: Path) -> None:
    (mine / "text.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in fake_corpus()))
    content = {
        "subject": {"factory": "mine:subject"},
        "corpus": {"source": "text.jsonl", "max_tokens": 4000},
        "features": [0],
        "database": "mine.duckdb",
    }
    (mine / "run.yaml").write_text(json.dumps(content))
    runner = CliRunner()
    explained = runner.invoke(app, ["explain", "run.yaml"])
    assert explained.exit_code == 0, explained.output
    assert "return" in explained.output
    assert runner.invoke(app, ["resume", "mine.duckdb"]).exit_code == 0
    listed = runner.invoke(app, ["runs", "mine.duckdb"], env={"COLUMNS": "200"})
    assert "mine:subject" in listed.output
    probed = runner.invoke(app, ["probe", "run.yaml", "--feature", "0", "def return cat"])
    assert probed.exit_code == 0, probed.output
    assert "on ' return'" in probed.output


def test_a_command_names_a_factory_that_cannot_be_used(mine: Path) -> None:
    content = {
        "subject": {"factory": "mine:broken"},
        "corpus": {"source": "python-stdlib"},
        "features": [0],
    }
    (mine / "run.yaml").write_text(json.dumps(content))
    done = CliRunner().invoke(app, ["probe", "run.yaml", "--feature", "0", "text"])
    assert isinstance(done.exception, SubjectError)
    assert "no weights today" in str(done.exception)
