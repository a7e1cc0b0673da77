"""A small run to be steered from the command line: known features and scripted policies."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import saesage
from tests.fakes import FakeSubject, fake_corpus
from tools.database import Database

RETURN, ANIMALS = 0, 6
"""The features of `FakeSubject` that `ScriptedPolicy` has a right hypothesis for."""

THREAD_TABLES = (
    *("checkpoints", "checkpoint_blobs", "checkpoint_writes", "checkpoint_items"),
    *("feature_log", "hypotheses_log", "experiments_log", "observations_log", "explanations_log"),
)


class Result(NamedTuple):
    code: int
    out: str
    err: str


Cli = Callable[..., Result]


def fake_subject() -> FakeSubject:
    """A subject factory."""
    return FakeSubject()


def make_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["saesage", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            saesage.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Result(int(end.value.code or 0), out, err)

    return run


def write_config(folder: Path, **changes: Any) -> Path:
    """A configuration of the fake subject; its database is `run.duckdb` beside it."""
    (folder / "corpus.txt").write_text("\n\n\n".join(fake_corpus(n_documents=40)))
    content: dict[str, Any] = {
        "subject": {"factory": "tests.steered:fake_subject"},
        "corpus": {"source": str(folder / "corpus.txt"), "max_tokens": 8000},
        "features": [RETURN, ANIMALS],
        "policies": {"default": "tests.policies:ScriptedPolicy"},
        "database": str(folder / "run.duckdb"),
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}))
    return path


def rows_of_thread(database: Database, thread: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that the database has of a thread, by table."""
    return {
        table: sorted(
            database.rows(f"SELECT * FROM {table} WHERE thread_id = ?", [thread]), key=repr
        )
        for table in THREAD_TABLES
    }
