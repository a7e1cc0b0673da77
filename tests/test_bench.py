"""The benchmark's table: what it says of a row, and where it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.bench import report
from evaluation.bench.rows import BenchRow

ROWS = [
    BenchRow("quick enough", 1.04, 1.0, "of its speed", more_is_better=True),
    BenchRow("too slow", 0.8, 1.0, "of its speed", more_is_better=True),
    BenchRow("small enough", 5.0, 8.0, "KiB"),
    BenchRow("too large", 9.0, 8.0, "KiB"),
    BenchRow("for comparison", 0.0004, None, "of its speed"),
]


def test_a_target_is_met_from_its_own_side() -> None:
    assert [row.met for row in ROWS] == [True, False, True, False, True]
    assert [row.shown_target for row in ROWS] == [">= 1", ">= 1", "<= 8", "<= 8", ""]


def test_both_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme, results = tmp_path / "README.md", tmp_path / "bench.json"
    readme.write_text(
        "Before.\n<!-- bench: written by `make bench` -->\nold\n<!-- end of bench -->\nAfter.\n"
    )
    monkeypatch.setattr(report, "README", readme)
    monkeypatch.setattr(report, "RESULTS", results)
    monkeypatch.setattr(report, "KEPT", tmp_path / "kept")
    report.keep("harvest", ROWS[:2], "Most of it is the forward pass.")
    assert report.write(["harvest", "storage"]) == ["storage"]
    assert not results.exists()
    assert "old" in readme.read_text()
    report.keep("storage", ROWS[2:])
    assert report.write(["harvest", "storage"]) == []
    assert [row["row"] for row in json.loads(results.read_text())] == [row.row for row in ROWS]
    assert json.loads(results.read_text())[1] == {
        "row": "too slow",
        "value": 0.8,
        "target": 1.0,
        "unit": "of its speed",
        "met": False,
    }
    lines = readme.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("Before.", "After.")
    assert "| too large | 9 KiB | <= 8 (missed) |" in lines
    assert "| for comparison | 0.0004 of its speed |  |" in lines
    assert any(line.endswith("Most of it is the forward pass.") for line in lines)
    assert "old" not in lines
