"""The README's figures: rows from comparisons, and the block of Markdown from rows alone."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import pytest

from evaluation.comparison import Comparison, compare_run
from evaluation.results.further import Effort, further_figures, listed
from evaluation.results.goals import reached
from evaluation.results.parquet import write_scores
from evaluation.results.readme import block, with_block
from evaluation.results.summary import LEAST_RECOVERED, Result, results_of
from evaluation.scorers.registry import LOWER_IS_BETTER
from evaluation.storage import open_scores
from graphs.runs import RunStore
from tests.evaluations import EXPLAINED, evaluated, query
from tools.rules import AllOf, Before, Branch, Not, Rule, TokenIn, WordIn

ROOT = Path(__file__).parents[1]
SUMMARY = ROOT / "results.json"
KEYS = {"subject", "explainer", "metric", "value", "low", "high", "n", "target", "met"}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluated(tmp_path_factory)


@pytest.fixture(scope="module")
def found(full: Path) -> Comparison:
    with open_scores(str(full)) as database:
        return compare_run(database, RunStore(database).latest())


def result(
    explainer: str, metric: str, value: float | None, subject: str = "demo", **changes: Any
) -> dict[str, Any]:
    bounds: dict[str, Any] = {"low": None, "high": None, "n": 20}
    return Result(subject, explainer, metric, value, **{**bounds, **changes}).as_json()


def test_rows_have_these_keys() -> None:
    assert {field.name for field in fields(Result)} == KEYS
    row = result("agentic", "detection", 0.123456, low=0.1, high=0.2)
    assert set(row) == KEYS
    assert (row["value"], row["n"], row["met"]) == (0.1235, 20, None)


def test_every_mean_and_every_difference_is_a_row(found: Comparison) -> None:
    rows = {(row.explainer, row.metric): row for row in results_of("planted", found)}
    assert len(rows) == len(results_of("planted", found))
    assert {row.subject for row in rows.values()} == {"planted"}
    for metric in found.metrics:
        for standing in metric.standings:
            row = rows[standing.explainer, metric.metric]
            assert row.value == (standing.mean and standing.mean.value)
            assert row.n == standing.n
            difference = rows.get((f"agentic - {standing.explainer}", metric.metric))
            assert (difference is None) == (standing.gain is None)
            if difference is not None and standing.gain is not None:
                # Arithmetic, where a gain is what is better.
                sign = -1 if metric.lower_is_better else 1
                assert difference.value == pytest.approx(sign * standing.gain.difference.value)
                assert difference.n == standing.gain.n


def test_the_target_is_to_beat_one_look_beyond_doubt(found: Comparison) -> None:
    rows = results_of("planted", found)
    aimed = {row.metric: row for row in rows if row.target is not None}
    assert {row.explainer for row in aimed.values()} == {"agentic - one_shot"}
    assert all(row.target == 0.0 for row in aimed.values())
    for row in aimed.values():
        end = row.high if row.metric in LOWER_IS_BETTER else row.low
        better = end is not None and (end < 0 if row.metric in LOWER_IS_BETTER else end > 0)
        assert row.met == better
    assert aimed["predictive_balanced"].met
    assert not aimed["saebench"].met
    assert all(row.met is None for row in rows if row.target is None)


def test_recovered_meanings_are_counted_whole_and_by_family(found: Comparison) -> None:
    rows = {row.metric: row for row in results_of("planted", found) if row.explainer == "agentic"}
    families = [row for name, row in rows.items() if name.startswith("recovered: ")]
    assert len(families) == len({each.family for each in found.families})
    assert sum(row.n for row in families) == len(EXPLAINED)
    # What could not be explained was not recovered.
    assert rows["recovered"].n == len(EXPLAINED) + found.unscored
    held = sum((row.value or 0.0) * row.n for row in families)
    assert rows["recovered"].value == pytest.approx(held / rows["recovered"].n)
    assert rows[LEAST_RECOVERED].value == min(row.value for row in families)


BEGIN = "<!-- results: written by `make results` -->"
END = "<!-- end of results -->"

ROWS = (
    result("max_token", "predictive_balanced", 0.5),
    result("agentic", "predictive_balanced", 0.876),
    result("agentic", "generative", None, n=0),
    result("agentic", "predictive_balanced", 0.111, subject="planted"),
    result("shuffled", "detection", 0.5),
    result(
        "agentic - one_shot",
        "predictive_balanced",
        0.1234,
        low=0.05,
        high=0.2,
        n=18,
        target=0.0,
        met=True,
    ),
    result("agentic", "recovered", 0.75, subject="planted", n=48),
    result("one_shot", "recovered", 0.25, subject="planted", n=48),
)


def test_the_block_is_made_of_the_rows_alone() -> None:
    lines = block(ROWS).splitlines()
    assert (lines[0], lines[-1]) == (BEGIN, END)
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    header, rule, *body = table[:4]
    assert header[1] == "predictive, balanced (r) [95 %]"
    assert set(rule) == {"---"}
    # In the explainers' order; nobody without the first metric.
    assert [cells[0] for cells in body] == ["agentic", "max_token"]
    assert [cells[1] for cells in body] == ["0.88", "0.50"]
    assert body[0][2:] == ["-"] * (len(header) - 2)
    (told,) = (line for line in lines if line.startswith("18 features"))
    assert "paired: one_shot +0.123 [+0.050, +0.200]." in told
    assert "planted: agentic 75% of 48, one_shot 25% of 48." in told


def test_what_was_reached_stands_beside_what_was_to_be_reached() -> None:
    more = [
        result("unigram_table", "predictive_balanced", 0.9),
        result("agentic", "generative_negatives", 0.03, low=0.01, high=0.05),
        result("agentic", "tokens listed, maximum", 41.0),
    ]
    told = {words: cells for words, *cells in reached([*ROWS, *more])}
    mean = told["the same: mean r, held to the unigram table's"]
    assert mean == ["0.88", "20", "≥ 0.90", "no"]
    ahead = told["mean r minus one_shot's"]
    assert ahead == ["0.12 [0.05, 0.20]", "18", "≥ 0.15", "no"]
    assert told["its negatives' firing rate"] == ["0.03 [0.01, 0.05]", "20", "≤ 0.10", "yes"]
    assert told["different tokens that a rule lists: maximum"] == ["41", "20", "≤ 40", "no"]
    # What could not be measured was not reached; of what nothing is known nothing is said.
    assert told["generative accuracy"][0] == "-"
    assert told["generative accuracy"][-1] == "no"
    assert "GiB resident at most" not in told


def test_lists_are_counted_wherever_a_rule_has_them() -> None:
    near = Before(TokenIn((" a", "b")), 1, 4)
    rule = Rule(
        (
            Branch(AllOf((TokenIn(("x", "y")), Not(near))), 1.0),
            Branch(WordIn(("import", "x"), folded=True), 0.5),
        )
    )
    assert listed(rule.to_json()) == {" a", "b", "x", "y", "import"}


def test_sizes_and_costs_are_rows_and_medians(full: Path, found: Comparison) -> None:
    with open_scores(str(full)) as database:
        run = RunStore(database).latest()
        rows = {
            (row.explainer, row.metric): row
            for row in further_figures(database, run, "planted", Effort(12.5, 0.75))
        }
        texts = database.rows("SELECT feature, len(tokens) FROM observations")
    assert rows["agentic", "seconds to explain"].value == 12.5
    assert rows["agentic", "GiB resident"].value == 0.75
    assert 0 < (rows["agentic", "words of a description, maximum"].value or 0) <= 60
    per_feature = Counter[int]()
    for feature, length in texts:
        per_feature[feature] += length
    spent = rows["agentic", "forward tokens of experiments, median"]
    assert spent.value == pytest.approx(median(per_feature.values()))
    assert spent.n == len(per_feature)
    balanced = next(m for m in found.metrics if m.metric == "predictive_balanced")
    assert rows["agentic", "predictive_balanced, median"].n == balanced.standings[0].n


def test_the_readme_gets_the_block_in_its_place() -> None:
    readme = f"# Title\n\n{BEGIN}\nold \\1\n{END}\n\nThe rest.\n"
    once = with_block(readme, ROWS)
    assert once == f"# Title\n\n{block(ROWS)}\n\nThe rest.\n"
    assert with_block(once, ROWS) == once
    with pytest.raises(ValueError, match="no block"):
        with_block("# Title\n", ROWS)


def test_a_comparison_goes_all_the_way_into_the_readme(found: Comparison) -> None:
    rows = json.loads(json.dumps([row.as_json() for row in results_of("demo", found)]))
    readme = with_block(f"{BEGIN}{END}", rows)
    for standing in next(m for m in found.metrics if m.metric == "detection").standings:
        assert standing.mean is not None
        (line,) = [
            line for line in readme.splitlines() if line.startswith(f"| {standing.explainer}")
        ]
        assert f"| {standing.mean.value:.2f} |" in line


@pytest.mark.skipif(not SUMMARY.exists(), reason="the results are not there yet")
def test_the_readme_says_what_was_measured() -> None:
    rows = json.loads(SUMMARY.read_text(encoding="utf-8"))
    assert all(set(row) == KEYS for row in rows)
    assert block(rows) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_raw_scores_of_several_databases_are_one_file(full: Path, tmp_path: Path) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    twin = Path(shutil.copy(full, folder / "two-words.duckdb"))
    write_scores([full, twin], folder / "scores.parquet")
    with duckdb.connect() as connection:
        table = connection.read_parquet(str(folder / "scores.parquet"))
        found = table.aggregate("subject, count(*), count(value)", "subject").fetchall()
    (counts,) = query(full, "SELECT count(*) AS n, count(value) AS n_values FROM scores")
    assert sorted(found) == [(name, *counts.values()) for name in ("scored", "two-words")]


def test_the_block_tells_what_ablations_leave() -> None:
    rows = [
        result("agentic", "recovered", 0.96, subject="planted"),
        result("agentic", "recovered", 0.81, subject="planted, positives only"),
        result("untested", "recovered", 0.75, subject="planted, positives only"),
    ]
    told = block(rows)
    assert "81% with positives only instead of all" in told
    assert "75%" not in told
