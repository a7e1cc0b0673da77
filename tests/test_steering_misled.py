"""A feature explained wrongly on purpose, and put right by one text: a story with a reason.

The planted feature fires on " None" a few tokens after " if". A fork drops what the run proposed,
says " None" fires everywhere, and leaves testing to a designer who asks only what it knows already:
the wrong hypothesis is confirmed. One text without an " if" refutes that, and makes the next fork
look for what is different about it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from evaluation.planted.subject import FEATURES, planted_subject
from tests.steered import Cli, make_cli
from tools.rules import rule_from_json

FEATURE = next(n for n, planted in enumerate(FEATURES) if planted.name == "None after if")
TOO_BROAD = "Fires on ' None'."
COUNTER_EXAMPLE = "value = None"
UNSEEN = ("        if text is None:\n", "    return None", "x.y = None\n", "if not None")


def test_one_text_corrects_what_a_credulous_designer_confirmed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cli, database = make_cli(monkeypatch, capsys), tmp_path / "run.duckdb"
    assert cli("explain", write_config(tmp_path, database)).code == 0
    entries = json.loads(cli("history", database, FEATURE, "--json").out)
    proposed = next(e["step"] for e in entries if e["node"] == "generate_hypotheses")
    known = shown(cli, database, "--at", proposed)["hypotheses"]
    credulous = ["--set", "policies.design_experiments=tests.policies:Credulous"]
    drops = [word for h in known for word in ("--drop", h["id"])]
    edits = [*drops, "--add-hypothesis", TOO_BROAD, "--name", "misled"]
    assert cli("fork", database, FEATURE, "--at", proposed, *edits, *credulous).code == 0
    misled = shown(cli, database, "--run", "misled")
    assert misled["status"] == "explained"
    assert not holds_on_unseen_texts(misled["rule"])
    added = f"H{len(known) + 1}"
    test = ["--add-experiment", added, COUNTER_EXAMPLE, "active"]
    careful = ["--set", "policies.design_experiments=symbolic", "--name", "corrected"]
    assert cli("fork", database, FEATURE, "--run", "misled", *test, *careful).code == 0
    corrected = shown(cli, database, "--run", "corrected")
    assert corrected["status"] == "explained"
    assert holds_on_unseen_texts(corrected["rule"])
    # Because of that text: it is what speaks against the hypothesis, and what says the context,
    # which the credulous designer left untested, was tested.
    statuses = {h["id"]: h for h in corrected["hypotheses"]}
    (against,) = statuses[added]["contradicting"]
    told = {e["observation"]: e["text"] for e in corrected["experiments"]}
    assert (statuses[added]["status"], told[against]) == ("refined", COUNTER_EXAMPLE)
    (tested,) = [h for h in statuses.values() if h["status"] == "confirmed"]
    assert tested["rule"] == corrected["rule"]
    assert tested["supporting"]
    assert "confirmed" not in [h["status"] for h in misled["hypotheses"] if h["id"] != added]
    assert shown(cli, database, "--run", "misled")["rule"] == misled["rule"]


def write_config(folder: Path, database: Path) -> Path:
    content = {
        "subject": {"factory": "evaluation.planted:planted_subject"},
        "corpus": {"source": "python-stdlib", "max_tokens": 60_000},
        "features": [FEATURE],
        "database": str(database),
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def shown(cli: Cli, database: Path, *options: object) -> dict[str, Any]:
    return json.loads(cli("show", database, FEATURE, "--json", *options).out)


def holds_on_unseen_texts(rule: dict[str, Any]) -> bool:
    """Whether the rule says of each text what the subject does."""
    measured = planted_subject().activations(UNSEEN, [FEATURE])
    assert {bool(item.activations.max()) for item in measured} == {True, False}
    predicted = [rule_from_json(rule).predict(item.tokens).max() >= 0.5 for item in measured]
    return predicted == [bool(item.activations.max()) for item in measured]
