"""A file of known meanings is read whole, or refused with the line that is wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from evaluation.truth import read_truths, truths
from graphs.config import SubjectConfig
from tests.fakes import FakeSubject
from tools.errors import CorruptSubject
from tools.rules import Branch, Rule, TokenIn


def rule(*tokens: str) -> Rule:
    return Rule((Branch(TokenIn(tokens), 1.0),))


GOOD = {"feature": 1, "family": "f", "statement": "Fires on x.", "tokens": [" x", "\u2028"]}


def truth_file(folder: Path, *lines: object) -> Path:
    path = folder / "truth.jsonl"
    told = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(told) + "\n", encoding="utf-8")
    return path


def test_a_truth_file_is_read(tmp_path: Path) -> None:
    by_rule = {**GOOD, "feature": 0, "rule": rule("a").to_json()}
    raw = json.dumps(GOOD, ensure_ascii=False)
    known = read_truths(truth_file(tmp_path, raw, by_rule), 2)
    assert known[1].predictor == rule(" x", "\u2028")
    assert known[0].predictor == rule("a")
    assert known[0].family == "f"
    beside = SubjectConfig.model_validate({"model": "m", "sae": {"path": str(tmp_path)}})
    subject = FakeSubject()
    assert truths(subject, beside)[0].statement == "Fires on x."
    (tmp_path / "truth.jsonl").unlink()
    assert truths(subject, beside) == {}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((GOOD, "{nonsense"), "line 2: Invalid JSON"),
        (("",), "line 1: Invalid JSON"),
        (({**GOOD, "feature": "one"},), "line 1: feature"),
        (({**GOOD, "tokens": []},), "line 1: tokens"),
        (({**GOOD, "token": "x"},), "line 1: token"),
        (({k: v for k, v in GOOD.items() if k != "tokens"},), "neither tokens nor a rule"),
        (({**GOOD, "rule": {"branches": []}},), "line 1: A rule"),
        ((GOOD, GOOD), "line 2: feature 1 comes twice"),
        (({**GOOD, "feature": 7},), "line 1: there is no feature 7; the SAE has 2"),
    ],
)
def test_a_broken_truth_file_is_refused(
    tmp_path: Path, lines: Sequence[object], message: str
) -> None:
    with pytest.raises(CorruptSubject) as caught:
        read_truths(truth_file(tmp_path, *lines), 2)
    assert message in str(caught.value)
    assert "truth.jsonl" in str(caught.value)


def test_a_truth_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "truth.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(CorruptSubject, match="cannot be read"):
        read_truths(tmp_path / "truth.jsonl", 2)
