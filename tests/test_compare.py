"""`saesage compare`: what its figures say, how they are computed, and that none is cut."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from evaluation.baselines.registry import DEFAULT_BASELINES
from evaluation.comparison import Comparison, MetricComparison, compare, compare_run
from evaluation.comparison.changes import MOST_LISTED
from evaluation.comparison.standings import Standing
from evaluation.comparison.tables import heading, markdown, metric_rows, notes, print_comparison
from evaluation.scorers.registry import LOWER_IS_BETTER, SCORERS
from evaluation.statistics import paired
from evaluation.storage import open_scores
from graphs.runs import RunStore
from tests.evaluations import EXPLAINED, evaluated, explained, query, run_saesage
from tools.llm.costs import Spent

UNSIGNED = "fade_clarity"
"""As published, an explanation of what is silent scores as well: the signed figure is at 0."""
BLIND = ("saebench", "fade_clarity")
"""The one takes random windows for silent, the other compares with windows that mostly fire."""
OF_HYPOTHESES = SCORERS["verdicts"].metrics


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluated(tmp_path_factory)


@pytest.fixture(scope="module")
def found(full: Path) -> Comparison:
    with open_scores(str(full)) as database:
        return compare_run(database, RunStore(database).latest())


def metric_of(comparison: Comparison, name: str, judge: str = "rule") -> MetricComparison:
    (metric,) = [m for m in comparison.metrics if (m.metric, m.judge) == (name, judge)]
    return metric


def standing_of(metric: MetricComparison, explainer: str) -> Standing:
    (standing,) = [each for each in metric.standings if each.explainer == explainer]
    return standing


# What the scores say


def test_the_investigation_beats_one_look(found: Comparison) -> None:
    for name in ("predictive_balanced", "detection_auc", "recovered_r"):
        gain = standing_of(metric_of(found, name), "one_shot").gain
        assert gain is not None
        assert gain.difference.low is not None
        assert gain.difference.low > 0
        assert gain.wins > 2 * gain.losses


def test_another_feature_s_explanation_is_no_better_than_none(found: Comparison) -> None:
    for metric in found.metrics:
        if metric.metric in (UNSIGNED, *OF_HYPOTHESES):
            continue
        shuffled = standing_of(metric, "shuffled")
        assert shuffled.trivial is not None
        assert shuffled.mean is not None
        assert shuffled.mean.low is not None
        assert shuffled.mean.high is not None
        if metric.lower_is_better:
            assert shuffled.mean.high >= shuffled.trivial, metric.metric
        else:
            assert shuffled.mean.low <= shuffled.trivial, metric.metric


def test_every_metric_that_can_tells_the_two_apart(found: Comparison) -> None:
    for metric in found.metrics:
        if metric.metric in (*BLIND, *OF_HYPOTHESES):
            continue
        gain = standing_of(metric, "shuffled").gain
        assert gain is not None
        assert gain.difference.low is not None
        assert gain.difference.low > 0, metric.metric


def test_published_absolute_values_hide_the_sign_alone(full: Path) -> None:
    rows = query(full, "SELECT feature, explainer, metric, value FROM scores")
    values = {(row["feature"], row["explainer"], row["metric"]): row["value"] for row in rows}
    signed = [key for key in values if key[2].endswith("_signed") and values[key] is not None]
    assert any(values[key] < 0 for key in signed)
    for feature, explainer, name in signed:
        bare = values[feature, explainer, name.removesuffix("_signed")]
        assert bare == pytest.approx(abs(values[feature, explainer, name]))


def test_planted_meanings_are_recovered_by_family(found: Comparison) -> None:
    recovered = {(each.family, each.explainer): each for each in found.families}
    for family in ("context", "exception"):
        ours, theirs = recovered[family, "agentic"], recovered[family, "one_shot"]
        assert (ours.recovered, theirs.recovered) == (1.0, 0.0)
        assert ours.n == theirs.n == 2
        assert ours.f1 > theirs.f1
    assert sum(each.n for each in found.families if each.explainer == "agentic") == len(EXPLAINED)


# What is printed


def test_no_figure_is_cut(full: Path, found: Comparison) -> None:
    said = run_saesage("compare", full)
    assert said.code == 0
    check_lines(said.out, found)


def check_lines(printed: str, comparison: Comparison) -> None:
    """Assert that each row of each metric is there whole, within 80 columns."""
    lines = printed.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in printed
    for metric in comparison.metrics:
        at = next(i for i, line in enumerate(lines) if line == heading(metric)[:80].rstrip())
        shown = [line.split() for line in lines[at + 2 :]]
        for row in metric_rows(metric):
            assert " ".join(row).split() in shown


def test_long_names_fold_and_large_counts_fit() -> None:
    random = np.random.default_rng(0)
    name = "file:some_other_tool_with_a_long_name_2024"
    rows = [
        row(feature, explainer, -0.5 + float(random.normal()) / 4)
        for feature in range(100)
        for explainer in ("agentic", "unigram_table", name)
    ]
    comparison = compare("r", rows, 0, 0)
    printed = io.StringIO()
    print_comparison(Console(file=printed, width=80, highlight=False), comparison)
    lines = printed.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    (metric,) = comparison.metrics
    for cells in metric_rows(metric):
        # The name may take several lines, the first with all figures.
        assert [line for line in lines if line.split()[1:] == " ".join(cells[1:]).split()]


def test_json_has_what_the_table_has(full: Path) -> None:
    said = run_saesage("compare", full, "--json")
    assert (said.code, said.err) == (0, "")
    content = json.loads(said.out)
    averages = query(
        full,
        "SELECT metric, explainer, avg(coalesce(value, floor)) AS mean, "
        "count(coalesce(value, floor)) AS n, count(*) - count(value) AS unscored "
        "FROM scores GROUP BY ALL",
    )
    told = {
        (metric["metric"], each["explainer"]): each
        for metric in content["metrics"]
        for each in metric["standings"]
    }
    assert len(told) == len(averages)
    for average in averages:
        each = told[average["metric"], average["explainer"]]
        assert each["n"] == average["n"]
        assert each["missing"] + each["floored"] == average["unscored"]
        assert bool(each["reasons"]) == bool(average["unscored"])
        mean = each["mean"] and each["mean"]["value"]
        assert mean == (average["mean"] and pytest.approx(average["mean"]))
    assert content["features"] == len(EXPLAINED)
    assert {change["description"] for change in content["gained"]} <= {
        each["description"] for each in query(full, "FROM scored_explanations")
    }


def test_markdown_has_the_same_tables(full: Path, found: Comparison, tmp_path: Path) -> None:
    out = tmp_path / "table.md"
    assert run_saesage("compare", full, "--out", out).out.startswith("run ")
    text = out.read_text()
    assert text == markdown(found)
    lines = text.splitlines()
    for metric in found.metrics:
        at = lines.index(f"## {heading(metric)}")
        body = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[at + 4 :]]
        assert body[: len(metric.standings)] == metric_rows(metric)
    said = run_saesage("compare", full, "--out", tmp_path / "none" / "table.md")
    assert said.code == 2
    assert "cannot write" in said.err


def test_a_run_without_scores_is_refused(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    database = shutil.copy(explained(tmp_path_factory), tmp_path / "run.duckdb")
    said = run_saesage("compare", database)
    assert (said.code, said.out) == (2, "")
    assert "has no scores yet; score it with `saesage evaluate" in said.err
    assert "no run 'nobody'" in run_saesage("compare", database, "--run", "nobody").err


# How it is computed


def row(
    feature: int, explainer: str, value: float | None, metric: str = "detection", **changes: Any
) -> dict[str, Any]:
    """A score as `ScoreStore.records` gives it."""
    spent = {"calls": 0, "tokens_in": 0, "tokens_out": 0, "cost": 0.0}
    return {
        **{"feature": feature, "explainer": explainer, "metric": metric, "judge": "rule"},
        **{"value": value, "reason": "" if value is not None else "no luck"},
        **{"always": None, "never": None, "prior": None, "parse_failures": 0.0},
        **{"floor": None, "model": None},
        **spent,
        **{f"made_{key}": each for key, each in spent.items()},
        **{"description": f"{explainer} on {feature}", "family": None},
        **changes,
    }


def rows_of(metric: str = "detection", **values: Sequence[float | None]) -> list[dict[str, Any]]:
    """The scores of explainers on features 0, 1, ..."""
    return [
        row(feature, explainer, value, metric)
        for explainer, each in values.items()
        for feature, value in enumerate(each)
    ]


def only(rows: list[dict[str, Any]], explainer: str) -> Standing:
    (metric,) = compare("r", rows, 0, 0).metrics
    return standing_of(metric, explainer)


def test_differences_are_paired_by_feature() -> None:
    rows = rows_of(agentic=[0.9, 0.8, None, 0.5, 0.2], one_shot=[0.4, 0.8, 0.1, None, 0.3])
    ours, theirs = only(rows, "agentic"), only(rows, "one_shot")
    assert ours.gain is None
    assert ours.mean is not None
    assert ours.mean.value == pytest.approx(fmean([0.9, 0.8, 0.5, 0.2]))
    assert (ours.n, ours.missing, ours.reasons) == (4, 1, ("no luck",))
    gain = theirs.gain
    assert gain is not None
    assert (gain.n, gain.wins, gain.ties, gain.losses) == (3, 1, 1, 1)
    assert gain.difference.value == pytest.approx(fmean([0.5, 0.0, -0.1]))


def test_without_a_common_feature_there_is_no_difference() -> None:
    standing = only(rows_of(agentic=[0.9, None], one_shot=[None, 0.4]), "one_shot")
    assert standing.gain is None
    assert standing.n == 1


def test_less_is_better_where_it_is() -> None:
    assert "generative_negatives" in LOWER_IS_BETTER
    rows = rows_of("generative_negatives", agentic=[0.1, 0.3], one_shot=[0.4, 0.2])
    for each in rows:
        each.update(always=1.0, never=0.2, prior=0.5)
    standing = only(rows, "one_shot")
    assert standing.gain is not None
    assert standing.gain.difference.value == pytest.approx(0.1)
    assert (standing.gain.wins, standing.gain.losses) == (1, 1)
    assert standing.trivial == pytest.approx(0.2)
    (metric,) = compare("r", rows, 0, 0).metrics
    assert heading(metric) == (
        "generative_negatives (judge rule, lower is better; reading nothing gives 0.200)"
    )


def test_the_best_of_the_trivial_judges_is_told() -> None:
    rows = rows_of(agentic=[0.9, 0.8, None])
    for each, always in zip(rows, (0.2, 0.4, 1.0), strict=True):
        each.update(always=always, prior=0.25)
    assert only(rows, "agentic").trivial == pytest.approx(0.3)
    assert only(rows_of(agentic=[0.9]), "agentic").trivial is None


def test_what_an_explanation_left_undefined_counts_at_its_floor() -> None:
    rows = rows_of(agentic=[0.6, None, None], one_shot=[0.2, 0.1, 0.4])
    rows[1].update(floor=0.0, reason="r is undefined")
    ours, theirs = only(rows, "agentic"), only(rows, "one_shot")
    assert ours.mean is not None
    assert ours.mean.value == pytest.approx(0.3)
    assert (ours.n, ours.floored, ours.missing) == (2, 1, 1)
    assert theirs.gain is not None
    # The paired differences have it too: to predict nothing does not pay.
    assert theirs.gain.difference.value == pytest.approx(fmean([0.4, -0.1]))
    assert (theirs.gain.n, theirs.gain.losses) == (2, 1)


def test_what_different_models_judged_is_not_put_together() -> None:
    rows = [*rows_of(agentic=[0.6]), *rows_of(agentic=[0.2])]
    for each, model in zip(rows, ("small", "large"), strict=True):
        each.update(judge="language_model", model=model)
    judges = [metric.judge for metric in compare("r", rows, 0, 0).metrics]
    assert judges == ["language_model large", "language_model small"]


def test_features_without_any_score_are_counted() -> None:
    assert compare("r", rows_of(agentic=[0.6, 0.5]), 0, 5).unscored == 3


def test_what_it_took_is_added_up_and_unknown_stays_unknown() -> None:
    spent = {"calls": 2, "tokens_in": 10, "tokens_out": 1, "cost": 0.25}
    made = {f"made_{key}": value for key, value in spent.items()}
    took: dict[str, Any] = {**spent, **made}
    rows = [row(f, "agentic", 0.5, **took, parse_failures=f / 2) for f in range(2)]
    standing = only(rows, "agentic")
    assert standing.scoring == standing.making == Spent(4, 20, 2, 0.5)
    assert standing.parse_failures == 0.25
    rows[0]["cost"] = None
    assert only(rows, "agentic").scoring == Spent(4, 20, 2, None)


def test_what_is_true_of_several_is_said_once() -> None:
    (metric,) = compare("r", rows_of(agentic=[0.9, None], one_shot=[0.5, None]), 0, 0).metrics
    assert list(notes(metric)) == ["all: 1 have no score: no luck"]
    (metric,) = compare("r", rows_of(agentic=[0.9, 0.1], one_shot=[0.5, None]), 0, 0).metrics
    assert list(notes(metric)) == ["one_shot: 1 have no score: no luck"]


def test_the_investigation_comes_first_and_files_last() -> None:
    names = ["file:mine", *reversed(DEFAULT_BASELINES), "agentic", "file:a"]
    (metric,) = compare("r", [row(0, name, 0.5) for name in names], 0, 0).metrics
    order = [each.explainer for each in metric.standings]
    assert order == ["agentic", *DEFAULT_BASELINES, "file:a", "file:mine"]


def test_gains_and_losses_are_those_of_the_headline() -> None:
    ours = [0.9, 0.5, 0.5, 0.1, None, 0.6]
    theirs: list[float | None] = [0.1, 0.4, 0.5, 0.4, 0.5, 0.61]
    rows = [
        *rows_of("detection_auc", agentic=[0.0] * 6, one_shot=[1.0] * 6),
        *rows_of("predictive_balanced", agentic=ours, one_shot=theirs, max_token=[1.0] * 6),
    ]
    comparison = compare("r", rows, 0, 0)
    assert comparison.headline == "predictive_balanced (rule), against one_shot"
    assert [change.feature for change in comparison.gained] == [0, 1]
    assert [change.feature for change in comparison.lost] == [3, 5]
    assert comparison.lost[0].gain == pytest.approx(-0.3)
    assert comparison.lost[0].description == "agentic on 3"
    many = rows_of(agentic=[0.9] * 20, one_shot=[0.1] * 20)
    for each in many:
        each["metric"] = "generative_auroc"
    assert len(compare("r", many, 0, 0).gained) == MOST_LISTED
    assert compare("r", rows_of(agentic=[0.9]), 0, 0).gained == ()


def test_a_meaning_is_recovered_from_95_percent() -> None:
    rows = rows_of("recovered_f1", agentic=[0.95, 0.94, 0.99, None], one_shot=[0.5, 0.2, 1.0, 1.0])
    for each in rows:
        each["family"] = "graded" if each["feature"] == 2 else "context"
    families = {(each.family, each.explainer): each for each in compare("r", rows, 0, 0).families}
    context = families["context", "agentic"]
    assert (context.n, context.recovered) == (2, 0.5)
    assert context.f1 == pytest.approx(0.945)
    assert families["context", "one_shot"].recovered == pytest.approx(1 / 3)
    assert families["graded", "one_shot"].recovered == 1.0


@pytest.mark.parametrize("n", [2, 5, 8])
def test_p_is_exact_where_differences_tie(n: int) -> None:
    differences = np.round(np.random.default_rng(n).normal(0.3, 1.0, n), 1)
    differences[0] = -differences[1]
    found = paired(differences, np.zeros(n), 0)
    every_sign: Any = stats.PermutationMethod(n_resamples=10_000)
    exact: Any = stats.wilcoxon(differences, method=every_sign)
    assert found.p == pytest.approx(exact.pvalue)


def test_p_of_many_pairs_is_nearly_what_counting_gives() -> None:
    differences = np.random.default_rng(1).normal(0.3, 1.0, 51)
    counted: Any = stats.wilcoxon(differences, method="exact")
    assert paired(differences, np.zeros(51), 0).p == pytest.approx(counted.pvalue, rel=0.1)
    fewer: Any = stats.wilcoxon(differences[:50], method="exact")
    assert paired(differences[:50], np.zeros(50), 0).p == pytest.approx(fewer.pvalue)
