"""The terminal at 80 columns, in colour and without, and what scripts read."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from graphs.terminal.shading import shaded
from tests.steered import ANIMALS, RETURN, Cli, make_cli, write_config


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.setenv("COLUMNS", "80")
    return make_cli(monkeypatch, capsys)


def test_80_columns_hold_everything(cli: Cli, tmp_path: Path) -> None:
    config, database = write_config(tmp_path), tmp_path / "run.duckdb"
    told = [cli("explain", config)]
    told.append(cli("fork", database, RETURN, "--drop", "H3", "--name", "digitless"))
    told += [cli("runs", database), cli("show", database), cli("show", database, RETURN)]
    told.append(cli("history", database, RETURN))
    for result in told:
        assert max(map(len, result.out.splitlines())) <= 80
    listed = told[2].out.splitlines()
    # Names are whole, to be copied.
    names = [row["run"] for row in json.loads(cli("runs", database, "--json").out)]
    assert [line.split()[0] for line in listed[1:] if line[:1].strip()] == names
    assert "fake_subject" in told[2].out
    assert "ScriptedPo" in told[2].out
    assert "…" not in told[2].out
    assert names[1].endswith("~digitless")
    assert "off the original at step" in told[4].out


def test_what_was_known_at_an_earlier_checkpoint(cli: Cli, tmp_path: Path) -> None:
    cli("explain", write_config(tmp_path, features=[RETURN]))
    database = tmp_path / "run.duckdb"
    whole = json.loads(cli("show", database, RETURN, "--json").out)
    entries = json.loads(cli("history", database, RETURN, "--json").out)
    by_node = {entry["node"]: entry for entry in entries}
    for node, statuses, measured in (
        ("generate_hypotheses", {"pending"}, 0),
        ("run_experiments", {"pending"}, len(whole["experiments"])),
        ("analyze_evidence", {"confirmed", "refuted"}, len(whole["experiments"])),
    ):
        at = by_node[node]["checkpoint"]
        then = json.loads(cli("show", database, RETURN, "--json", "--at", at).out)
        assert {h["status"] for h in then["hypotheses"]} == statuses
        assert sum(e["outcome"] is not None for e in then["experiments"]) == measured
        assert (then["status"], then["description"]) == ("running", None)
    last = json.loads(cli("show", database, RETURN, "--json", "--at", entries[-1]["step"]).out)
    assert last == whole
    assert by_node["analyze_evidence"]["changes"] == ["H1, H4 confirmed", "H2, H3 refuted"]
    refused = cli("show", database, RETURN, "--at", "77")
    assert (refused.code, "no checkpoint '77'" in refused.err) == (2, True)
    assert cli("show", database, "--at", "2").code == 2


def test_a_probe_for_scripts(cli: Cli, tmp_path: Path) -> None:
    said = cli("probe", write_config(tmp_path), "--feature", ANIMALS, "a cat", "--json")
    (item,) = json.loads(said.out)
    assert item["tokens"] == ["a", " cat"]
    assert item["activations"][0] == 0
    assert item["max"] == item["activations"][1] > 0
    assert item["mean"] == pytest.approx(item["max"] / 2)


def test_tokens_are_coloured_or_stand_in_brackets() -> None:
    tokens, activations = ["a", " cat", "\n"], [0.0, 3.0, 0.2]
    plain = Console(file=io.StringIO(), force_terminal=False)
    assert shaded(tokens, activations, 4.0, plain).plain == "a[ cat|0.8]↵"
    colour = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor")
    line = shaded(tokens, activations, 4.0, colour)
    assert line.plain == "a cat↵"
    colour.print(line)
    assert isinstance(colour.file, io.StringIO)
    assert "48;2;" in colour.file.getvalue()
