"""A run that is killed over and over, and what its database must hold whenever it is."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from graphs.checkpointer import DuckDBSaver, strict_serializer
from graphs.findings import Findings, export_lines
from graphs.projection import thread_of
from graphs.records import RECORD_TYPES
from graphs.runs import RunStore
from graphs.storage import open_database
from tests.subjects import make_model_dir, make_sae_dir
from tools.corpus import python_stdlib_documents

ROOT = Path(__file__).parent.parent
KILLED = -signal.SIGKILL
FEATURES = [4, 10, 13, 31]


class CrashServer:
    """A warm process that runs commands in forks of itself and kills them on time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        assert self._answer() == "ready"

    def run(self, *arguments: str, name: str = "SIGKILL", after: float = 0) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write("\t".join([*arguments, name, str(after)]) + "\n")
        self._process.stdin.flush()
        return int(self._answer())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Whole(NamedTuple):
    """A run that nothing interrupted."""

    seconds: float
    features: list[dict[str, Any]]


def make_run(folder: Path, **changes: Any) -> Path:
    """A configuration with all that it names."""
    make_model_dir(folder / "model")
    make_sae_dir(folder / "sae")
    texts = [document.text[:600] for document in python_stdlib_documents()[:80]]
    (folder / "corpus.txt").write_text("\n\n\n".join(t.replace("\n\n\n", "\n") for t in texts))
    content = {
        "subject": {"model": "model", "sae": {"path": "sae"}},
        "corpus": {"source": "corpus.txt", "max_tokens": 1800},
        "features": FEATURES,
        "budget": {"rounds": 2, "experiments": 24},
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}))
    return path


def uninterrupted(crash_server: CrashServer, config: Path) -> Whole:
    """A whole run of the configuration."""
    # The first start reads from a cold disk: its time would put half of the kills past the end.
    crash_server.run("explain", str(config), "--db", str(config.parent / "first.duckdb"))
    database = config.parent / "whole.duckdb"
    began = time.monotonic()
    assert crash_server.run("explain", str(config), "--db", str(database)) in (0, 1)
    found = Whole(time.monotonic() - began, exported(database))
    assert [feature["feature"] for feature in found.features] == FEATURES
    return found


def exported(path: Path) -> list[dict[str, Any]]:
    with open_database(str(path), create=False) as database:
        run = RunStore(database).latest()
        records = [json.loads(line) for line in export_lines(Findings(database), run)]
    return [{**record, "seconds": None} for record in records]


def agree_with_checkpoints(path: Path) -> bool:
    """Assert that rows and checkpoints agree; whether there is a run at all yet."""
    with open_database(str(path), create=False) as database:
        saver = DuckDBSaver(database, serde=strict_serializer(RECORD_TYPES))
        runs = RunStore(database).all()
        for run in runs:
            for feature in RunStore(database).planned(run):
                config: Any = {"configurable": {"thread_id": thread_of(run.name, feature)}}
                # Not get_state: that adds what the interrupted step had written but not stored.
                found = saver.get_tuple(config)
                state = found.checkpoint["channel_values"] if found else {}
                for table in ("experiments", "observations"):
                    # The log, not the view, which shows each record once whatever happens.
                    twice = f"SELECT id FROM {table}_log GROUP BY thread_id, id HAVING count(*) > 1"
                    assert database.rows(twice) == []
                for table in ("hypotheses", "experiments", "observations"):
                    rows = database.rows(
                        f"SELECT id FROM {table} WHERE run = ? AND feature = ?",
                        [run.name, feature],
                    )
                    assert sorted(id for (id,) in rows) == sorted(
                        record.id for record in state.get(table, [])
                    )
                check_statuses(Findings(database).hypotheses(run, feature), state)
        return bool(runs)


def check_statuses(rows: list[dict[str, Any]], state: dict[str, Any]) -> None:
    assert {row["id"]: row["status"] for row in rows} == {
        hypothesis.id: hypothesis.status for hypothesis in state.get("hypotheses", [])
    }
