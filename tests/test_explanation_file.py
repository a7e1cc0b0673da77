"""Files of explanations: what is read out of them, and what is said of every broken one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.baselines.explanation_file import ExplanationFile, read_explanations
from evaluation.baselines.registry import baseline_named
from tests.desks import desk
from tools.errors import ExplanationFileError
from tools.rules import Branch, Rule, TokenIn

RULE = Rule((Branch(TokenIn((" cat",)), 0.75),))
GOOD = {"feature": 6, "explanation": "  Fires on animals.\n", "rule": RULE.to_json()}
NOT_TEXT = {"kind": "token_in", "tokens": [1]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.v2.jsonl"


def read(path: Path, *lines: object) -> ExplanationFile:
    path.write_text("".join(f"{x if isinstance(x, str) else json.dumps(x)}\n" for x in lines))
    return read_explanations(path, "run-1", [3, 6, 7])


def test_a_file_explains_the_features_that_it_names(path: Path) -> None:
    bare = {"feature": 3, "explanation": "Fires on \u2028 nothing.", "rule": None}
    found = read(path, GOOD, "", json.dumps(bare, ensure_ascii=False), "  ")
    animals, other, absent = (found.explain(desk(feature=feature)) for feature in (6, 3, 7))
    assert {animals.explainer, other.explainer, absent.explainer} == {"file:mine.v2"}
    assert (animals.feature, animals.description) == (6, "Fires on animals.")
    assert animals.predictor == RULE
    assert animals.missing == other.missing == ""
    assert (other.description, other.predictor) == ("Fires on \u2028 nothing.", None)
    assert (absent.description, absent.predictor) == (None, None)
    assert absent.missing == "the file has no explanation of it"
    assert len({c.digest for c in (animals, other, absent)}) == 3


def test_another_content_is_another_recipe(path: Path) -> None:
    recipe = read(path, GOOD).recipe({})
    assert read(path, GOOD).recipe({}) == recipe
    assert read(path, GOOD, {"feature": 3, "explanation": "x"}).recipe({}) != recipe


def test_a_path_names_a_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(path, GOOD)
    assert baseline_named(str(path), "run-1", [6]).name == "file:mine.v2"
    monkeypatch.chdir(path.parent)
    assert baseline_named("mine.v2.jsonl", "run-1", [6]).name == "file:mine.v2"
    path.rename(path.parent / "one_shot")
    assert baseline_named("./one_shot", "run-1", [6]).name == "file:one_shot"


def changed(**changes: Any) -> dict[str, Any]:
    return {**GOOD, **changes}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "no JSON"),
        ("feature 3 fires", "no JSON"),
        ("[3]", "must be one JSON object"),
        ("NaN", "must be one JSON object"),
        ({"feature": 3}, "explanation: Field required.*fields feature, explanation, rule"),
        ({"explanation": "x"}, "feature: Field required"),
        (changed(feature="3"), "feature: .*integer"),
        (changed(feature=True), "feature: .*integer"),
        (changed(feature=3.5), "feature: .*integer"),
        (changed(feature=-1), "feature: .*greater than or equal to 0"),
        (changed(explanation=3), "explanation: .*string"),
        (changed(explanation=" \n"), "explanation: .*at least 1 character"),
        (changed(explanation="half \ud83d of it"), "no Unicode"),
        (changed(rules=[]), "rules: .*not permitted"),
        (changed(rule="x"), "rule: .*dictionary"),
        (changed(rule={}), "the rule cannot be executed: .*branches"),
        (changed(rule={"branches": [{"when": NOT_TEXT, "strength": 1}]}), "strings only"),
        ('{"feature": 3, "explanation": "x", "rule": ' + '{"a": ' * 99_000, "nested too deeply"),
    ],
)
def test_a_broken_line_is_named(path: Path, line: object, told: str) -> None:
    with pytest.raises(ExplanationFileError, match=told) as error:
        read(path, {"feature": 7, "explanation": "good"}, "", line)
    assert f"{path}, line 3" in str(error.value)


def test_a_rule_nested_beyond_reason_is_no_crash(path: Path) -> None:
    rule = RULE.to_json()
    for _ in range(50):
        rule["branches"][0]["when"] = {"kind": "not", "condition": rule["branches"][0]["when"]}
    with pytest.raises(ExplanationFileError, match="line 1 is nested too deeply"):
        read(path, changed(rule=rule))


def test_a_feature_is_explained_once(path: Path) -> None:
    with pytest.raises(ExplanationFileError, match="line 3: feature 6 .* line 1 already"):
        read(path, GOOD, {"feature": 3, "explanation": "x"}, GOOD)


def test_features_that_the_run_does_not_have_are_named_together(path: Path) -> None:
    lines = [{"feature": n, "explanation": "x"} for n in (3, 40, 6, 9)]
    with pytest.raises(ExplanationFileError, match="run run-1 does not have: 9, 40; take"):
        read(path, *lines)
    lines = [{"feature": n, "explanation": "x"} for n in range(20, 35)]
    with pytest.raises(ExplanationFileError, match=r": 20, 21, .*, 29 and 5 more; take") as error:
        read(path, *lines)
    assert "30" not in str(error.value).partition("does not have")[2]


def test_a_file_that_cannot_be_read_is_named(path: Path) -> None:
    with pytest.raises(ExplanationFileError, match=r"there is no file .*mine\.v2\.jsonl"):
        read_explanations(path, "run-1", [3])
    with pytest.raises(ExplanationFileError, match="cannot be read"):
        read_explanations(path.parent, "run-1", [3])
    with pytest.raises(ExplanationFileError, match="holds no explanation"):
        read(path, "", " ")
    path.write_bytes(b'{"feature": 3, "explanation": "caf\xe9"}')
    with pytest.raises(ExplanationFileError, match="not UTF-8.*save it as UTF-8"):
        read_explanations(path, "run-1", [3])


def test_a_byte_order_mark_and_windows_line_ends_are_read(path: Path) -> None:
    line = json.dumps(GOOD).encode()
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n")
    assert list(read_explanations(path, "run-1", [6]).lines) == [6]
