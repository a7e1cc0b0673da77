"""`saesage evaluate`: every score there, the same again, only what is new, and clear refusals."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from evaluation import evaluate, examiner
from evaluation.baselines.registry import DEFAULT_BASELINES
from evaluation.scorers.registry import DEFAULTS, SCORERS
from evaluation.scores import ScoreStore
from tests import evaluations
from tests.evaluations import (
    DEAD,
    EXPLAINED,
    MEANINGS,
    NAMED,
    evaluated,
    explained,
    explanation_rows,
    killed_while_saving,
    open_scores,
    query,
    run_saesage,
    score_rows,
    with_features,
)
from tools.database import Database
from tools.errors import EXIT_INTERRUPTED
from tools.rules import Branch, Rule, TokenIn

FEW = (NAMED["animals"], NAMED["None after is"], NAMED["zebra, which is rare"])
EXPLAINERS = ("agentic", *DEFAULT_BASELINES)
METRICS = [metric for name in DEFAULTS["rule"] for metric in SCORERS[name].metrics]

SOME = ("--metrics", "detection,generative,recovered", "--baselines", "one_shot,shuffled")

Piece = tuple[int, str, str, str]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluated(tmp_path_factory)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three features explained, none scored: a common one, one in context, a rare one."""
    folder = tmp_path_factory.mktemp("few")
    return with_features(explained(tmp_path_factory), folder / "plain.duckdb", FEW)


@pytest.fixture(scope="module")
def whole(plain: Path) -> Path:
    """The same with all scores, one feature after another and never interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        return scored(plain, plain.with_name("whole.duckdb"))


@pytest.fixture
def database(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(plain, tmp_path / "run.duckdb"))


@pytest.fixture
def done(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "run.duckdb"))


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[Piece]:
    """Notes each piece of work that is done from now on."""
    pieces: list[Piece] = []
    scores_of = examiner.scores_of

    def noting(exam: Any, candidate: Any, judge: Any, scorer: str) -> Any:
        pieces.append((exam.feature, candidate.explainer, judge.name, scorer))
        return scores_of(exam, candidate, judge, scorer)

    monkeypatch.setattr(examiner, "scores_of", noting)
    return pieces


@pytest.fixture
def _unloadable(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(config: object) -> None:
        pytest.fail("the subject was loaded")

    monkeypatch.setattr(evaluate, "open_subject", load)


@pytest.fixture
def _one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


def scored(source: Path, copy: Path) -> Path:
    shutil.copy(source, copy)
    assert run_saesage("evaluate", copy).code == 0
    return copy


def refused(database: Path, *arguments: object) -> str:
    """What a refusal says, which must leave nothing behind."""
    before = query(database, "FROM scores"), query(database, "FROM scored_explanations")
    said = run_saesage("evaluate", database, *arguments)
    assert said.code == 2
    assert said.err.count("error: ") == 1
    after = query(database, "FROM scores"), query(database, "FROM scored_explanations")
    assert after == before
    return " ".join(said.err.split())


# What is stored


def test_every_explanation_has_every_score_or_a_reason(full: Path) -> None:
    rows = score_rows(full)
    found = {(row["feature"], row["explainer"], row["metric"], row["judge"]) for row in rows}
    assert len(found) == len(rows)
    assert found == {
        (feature, explainer, metric, "rule")
        for feature in EXPLAINED
        for explainer in EXPLAINERS
        for metric in METRICS
    }
    for row in rows:
        check_row(row)


def check_row(row: dict[str, Any]) -> None:
    assert (row["value"] is None) == bool(row["reason"])
    assert 0 <= row["parse_failures"] <= 1
    assert (row["calls"], row["tokens_in"], row["tokens_out"], row["cost"]) == (0, 0, 0, 0)
    assert len(row["digest"]) == 32
    json.loads(row["details"])
    if row["value"] is None:
        assert (row["low"], row["high"]) == (None, None)
        return
    assert row["n"] > 0
    # A share of hypotheses is nothing that a judge could guess.
    trivial = {row["always"], row["never"], row["prior"]}
    assert (trivial == {None}) == (row["metric"] in SCORERS["verdicts"].metrics)
    if row["low"] is not None:
        assert row["low"] - 1e-9 <= row["value"] <= row["high"] + 1e-9


def test_every_metric_could_be_had_for_some_feature(full: Path) -> None:
    had = {row["metric"] for row in score_rows(full) if row["value"] is not None}
    assert had == set(METRICS)


def test_what_was_scored_is_kept(full: Path) -> None:
    rows = explanation_rows(full)
    assert [(row["feature"], row["explainer"]) for row in rows] == [
        (feature, explainer) for feature in EXPLAINED for explainer in sorted(EXPLAINERS)
    ]
    run = {
        row["feature"]: row
        for row in query(full, "FROM features LEFT JOIN explanations USING (run, feature)")
    }
    for row in rows:
        assert row["missing"] == ""
        assert isinstance(json.loads(row["content"]), dict)
        if row["explainer"] == "agentic":
            assert row["description"] == run[row["feature"]]["description"]
    assert run[DEAD]["description"] is None


# The same again


def test_features_side_by_side_get_the_same_scores(
    whole: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert run_saesage("evaluate", database).code == 0
    assert score_rows(database) == score_rows(whole)
    assert explanation_rows(database) == explanation_rows(whole)


@pytest.mark.usefixtures("_one_at_a_time")
def test_an_interrupted_evaluation_goes_on_with_the_next_feature(
    whole: Path, database: Path, examined: list[Piece], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    save = ScoreStore.save

    def interrupted(store: ScoreStore, batch: Any) -> None:
        if saved:
            raise KeyboardInterrupt
        saved.append(batch[0].candidate.feature)
        save(store, batch)

    with monkeypatch.context() as patch:
        patch.setattr(ScoreStore, "save", interrupted)
        said = run_saesage("evaluate", database, *SOME)
    assert said.code == EXIT_INTERRUPTED
    assert "go on with the same command" in said.err
    assert features_scored(database) == set(saved) == {min(FEW)}
    check_goes_on(database, whole, examined)


@pytest.mark.usefixtures("_one_at_a_time")
def test_a_killed_evaluation_goes_on_with_the_next_feature(
    whole: Path, database: Path, examined: list[Piece]
) -> None:
    assert killed_while_saving(2, "evaluate", database, *SOME) == -signal.SIGKILL
    assert features_scored(database) == {min(FEW)}
    check_goes_on(database, whole, examined)


def features_scored(database: Path) -> set[int]:
    return {row["feature"] for row in score_rows(database)}


def check_goes_on(database: Path, whole: Path, examined: list[Piece]) -> None:
    """Finish what was stopped, and assert that it is what it would have been."""
    stored = query(database, "FROM scores ORDER BY ALL")
    examined.clear()
    assert run_saesage("evaluate", database, *SOME).code == 0
    assert sorted(examined) == sorted(
        (feature, explainer, "rule", scorer)
        for feature in set(FEW) - {min(FEW)}
        for explainer in ("agentic", "one_shot", "shuffled")
        for scorer in ("detection", "generative", "recovered")
    )
    rows = score_rows(database)
    keys = {(row["explainer"], row["metric"]) for row in rows}
    assert len(rows) == len(FEW) * len(keys)
    assert rows == [row for row in score_rows(whole) if (row["explainer"], row["metric"]) in keys]
    # With the time of scoring.
    assert query(database, f"FROM scores WHERE feature = {min(FEW)} ORDER BY ALL") == stored


def test_what_is_left_is_measured_together_with_the_rest(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One column alone is computed in another order, and scores would change in their last digits.
    asked: list[list[int]] = []
    measure = evaluate.measure

    def noting(subject: Any, sample: Any, features: Any, progress: Any) -> Any:
        asked.append(list(features))
        return measure(subject, sample, features, progress)

    monkeypatch.setattr(evaluate, "measure", noting)
    with Database.open(done, create=False) as database, database.transaction() as connection:
        connection.execute("DELETE FROM scores WHERE feature = ?", [min(FEW)])
    assert run_saesage("evaluate", done, *SOME).code == 0
    assert [sorted(each) for each in asked] == [sorted(FEW)]


# Only what is new


@pytest.mark.usefixtures("_unloadable")
def test_what_is_scored_is_neither_computed_nor_loaded_again(done: Path) -> None:
    before = query(done, "FROM scores ORDER BY ALL")
    for options in ([], ["--metrics", "detection"], ["--baselines", "one_shot"]):
        said = run_saesage("evaluate", done, *options)
        assert said.code == 0
        assert "3 features were scored before" in said.err
    assert query(done, "FROM scores ORDER BY ALL") == before


def test_a_scorer_of_another_version_is_computed_anew_alone(
    done: Path, examined: list[Piece], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: Any = SCORERS["detection"]
    before = timed(done, "metric NOT LIKE 'detection%'")
    rows = score_rows(done)
    monkeypatch.setitem(cast("dict[str, Any]", SCORERS), "detection", replace(changed, version=99))
    assert run_saesage("evaluate", done).code == 0
    assert sorted(examined) == sorted(
        (feature, explainer, "rule", "detection") for feature in FEW for explainer in EXPLAINERS
    )
    assert timed(done, "metric NOT LIKE 'detection%'") == before
    assert without(score_rows(done), "digest") == without(rows, "digest")


def timed(database: Path, where: str) -> list[dict[str, Any]]:
    return query(database, f"FROM scores WHERE {where} ORDER BY ALL")


def without(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return [{**row, key: None} for row in rows]


def test_a_file_with_other_content_is_scored_anew_alone(
    done: Path, examined: list[Piece], tmp_path: Path
) -> None:
    mine = tmp_path / "mine.jsonl"
    options = ["--metrics", "detection", "--baselines", f"one_shot,{mine}"]
    write_file(mine, "It is about cats.", (" cat",))
    assert run_saesage("evaluate", done, *options).code == 0
    assert {piece[1] for piece in examined} == {"file:mine"}
    first = file_scores(done)
    assert run_saesage("evaluate", done, *options).code == 0
    assert len(examined) == len(FEW)
    write_file(mine, "It is about animals.", (" cat", " dog"))
    assert run_saesage("evaluate", done, *options).code == 0
    assert sorted(examined[: len(FEW)]) == sorted(examined[len(FEW) :])
    again = file_scores(done)
    assert again.keys() == first.keys()
    cats, animals = (found[NAMED["animals"], "detection"] for found in (first, again))
    assert cats["value"] < animals["value"]
    assert [
        row["description"] for row in explanation_rows(done) if row["explainer"] == "file:mine"
    ] == [
        "It is about animals.",
        None,
        None,
    ]
    silent = again[NAMED["None after is"], "detection"]
    assert (silent["value"], silent["reason"]) == (None, "the file has no explanation of it")


def test_scores_of_an_earlier_explanation_are_forgotten(database: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    write_file(mine, "It is about cats.", (" cat",))
    run_saesage("evaluate", database, "--metrics", "detection,recovered", "--baselines", mine)
    write_file(mine, "It is about animals.", (" cat", " dog"))
    run_saesage("evaluate", database, "--metrics", "recovered", "--baselines", mine)
    found = {row["metric"] for row in score_rows(database) if row["explainer"] == "agentic"}
    assert found == {"detection", "detection_auc", "recovered_f1", "recovered_r"}
    animals, others = set[str](), set[str]()
    for feature, metric in file_scores(database):
        (animals if feature == NAMED["animals"] else others).add(metric)
    assert animals == {"recovered_f1", "recovered_r"}
    assert others == found


def write_file(path: Path, description: str, tokens: tuple[str, ...]) -> None:
    rule = Rule((Branch(TokenIn(tokens), 1.0),)).to_json()
    line = {"feature": NAMED["animals"], "explanation": description, "rule": rule}
    path.write_text(json.dumps(line))


def file_scores(database: Path) -> dict[tuple[int, str], dict[str, Any]]:
    rows = [row for row in score_rows(database) if row["explainer"] == "file:mine"]
    return {(row["feature"], row["metric"]): row for row in rows}


# What can be asked for


@pytest.mark.parametrize(
    ("metrics", "scorers"),
    [
        ("recovered_f1", ["recovered"]),
        ("predictive", ["predictive_sage", "predictive_balanced"]),
        ("saebench, input_metric,fade_purity", ["saebench", "fade", "input_metric"]),
    ],
)
def test_single_metrics_and_groups(database: Path, metrics: str, scorers: list[str]) -> None:
    said = run_saesage("evaluate", database, "--metrics", metrics, "--baselines", "untested")
    assert said.code == 0
    rows = score_rows(database)
    assert {row["explainer"] for row in rows} == {"agentic", "untested"}
    found = {row["metric"] for row in rows}
    assert found == {metric for name in scorers for metric in SCORERS[name].metrics}
    assert len(rows) == 2 * len(FEW) * len(found)


@pytest.mark.usefixtures("_unloadable")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics", "detection,predictiv"], "unknown metric 'predictiv'; did you mean"),
        (["--metrics", "xyzzy"], "known: generative"),
        (["--baselines", "oneshot"], "did you mean 'one_shot'?"),
        (["--baselines", "nowhere.jsonl"], "no file of explanations nowhere.jsonl"),
        (["--judge", "oracle"], "unknown judge 'oracle'; known: rule, language_model"),
        (["--set", "seed=3"], "only keys of llm can be changed"),
        (["--set", "llm.modle=x"], "did you mean 'model'?"),
        (["--judge", "rule,language_model"], "no `llm` section"),
        (["--run", "nobody"], "no run 'nobody'"),
    ],
)
def test_what_there_is_not_is_refused(database: Path, options: list[str], message: str) -> None:
    assert message in refused(database, *options)


BROKEN = {
    "unknown.jsonl": ('{"feature": 99, "explanation": "x"}', "does not have: 99"),
    "no_json.jsonl": ('{"feature": 0, "explanation": "x"}\n{"feature"', "line 2"),
    "no_rule.jsonl": ('{"feature": 0, "explanation": "x", "rule": {"a": 1}}', "line 1"),
}


@pytest.mark.usefixtures("_unloadable")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_before_anything_is_scored(
    database: Path, tmp_path: Path, name: str
) -> None:
    content, message = BROKEN[name]
    (tmp_path / name).write_text(content)
    said = refused(database, "--baselines", f"one_shot,{tmp_path / name}")
    assert name in said
    assert message in said


# What cannot be scored


def test_a_run_without_explanations_is_refused(plain: Path, tmp_path: Path) -> None:
    database = with_features(plain, tmp_path / "run.duckdb", [])
    assert "holds no explanation" in refused(database)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for command in ("evaluate", "compare"):
        said = run_saesage(command, tmp_path / "none.duckdb")
        assert said.code == 2
        assert "none.duckdb" in said.err
    assert not any(tmp_path.iterdir())


def test_another_corpus_is_refused(
    database: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    corpus = explained(tmp_path_factory).with_name("corpus.txt")
    text = corpus.read_text()
    try:
        corpus.write_text(text.replace("London", "Monday"))
        assert "the corpus changed since run" in refused(database)
        corpus.unlink()
        assert "corpus.txt" in refused(database)
    finally:
        corpus.write_text(text)
    assert run_saesage("evaluate", database, "--metrics", "input_metric").code == 0


def test_another_subject_is_refused(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(MEANINGS[0], name="other animals")
    monkeypatch.setattr(evaluations, "MEANINGS", (other, *MEANINGS[1:]))
    assert "another model or SAE" in refused(database)


def test_an_explanation_without_a_rule_has_no_score_by_rule(database: Path) -> None:
    with open_scores(str(database)) as opened, opened.transaction() as connection:
        connection.execute("UPDATE explanations_log SET rule = NULL")
    assert run_saesage("evaluate", database, "--baselines", "one_shot,shuffled").code == 0
    for row in score_rows(database):
        if row["explainer"] == "one_shot":
            continue
        assert row["value"] is None
        assert row["reason"] == "the explanation carries nothing that can be executed"
    assert any(row["value"] is not None for row in score_rows(database))
