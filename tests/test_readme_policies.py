"""The README's mixed configuration and its policy of one's own run as they stand there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from graphs.config import parse_config
from graphs.findings import Findings
from graphs.run import finish_run
from graphs.runs import RunStore
from graphs.storage import open_database
from tests.crashes import make_run
from tests.llm_server import LoopbackServer
from tests.llm_server.scientist import scientist
from tests.test_readme import README

FEATURE = 13


class Silent:
    """A Reporter that nobody listens to."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def blocks(language: str, section: str) -> list[str]:
    text = README.split(f"## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    path = make_run(tmp_path, features=[FEATURE], database=str(tmp_path / "run.duckdb"))
    monkeypatch.chdir(tmp_path)
    return yaml.safe_load(path.read_text())


def explained(content: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The feature, and its experiments."""
    config = parse_config(content)
    with open_database(config.database, create=True) as database:
        run = RunStore(database).open(config)
        finish_run(database, run, Silent())
        findings = Findings(database)
        return findings.feature(run, FEATURE), findings.experiments(run, FEATURE)


def test_the_mixed_configuration_runs(
    content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (shown,) = (yaml.safe_load(block) for block in blocks("yaml", "With a language model"))
    assert set(shown["policies"].values()) == {"language_model", "symbolic"}
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-that-nobody-asks-for")
    with LoopbackServer(scientist) as server:
        shown["llm"]["base_url"] = server.base_url
        feature, experiments = explained({**content, **shown})
        asked = {request.body["model"] for request in server.requests}
    # The same two texts round after round: nothing new is ever measured.
    assert feature["status"] in ("explained", "undecided", "budget")
    assert experiments
    # The strong model is asked as the explainer, the other one as everything else.
    assert asked == {shown["llm"]["model"], shown["llm"]["roles"]["explainer"]["model"]}
    assert 0 < feature["cost"] < shown["budget"]["usd"]


def test_a_policy_of_ones_own_runs(
    content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = blocks("python", "A policy of your own")
    (named,) = re.findall(r"`(policies: \{[^`]*mypolicies[^`]*\})`", README)
    (tmp_path / "mypolicies.py").write_text(code)
    monkeypatch.delitem(sys.modules, "mypolicies", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    feature, experiments = explained({**content, **yaml.safe_load(named)})
    assert {e["text"] for e in experiments} == {"import os", "a cup of tea"}
    # The same two texts round after round: nothing new is ever measured.
    assert feature["status"] in ("explained", "undecided", "budget")
