"""The report holds what was measured, all its links lead somewhere, and bad input is told."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest

from evaluation.comparison import compare_run
from graphs.findings import Findings
from graphs.page.overview import Overview
from graphs.page.plots import distributions
from graphs.page.reading import read_feature, read_overview
from graphs.page.records import FeaturePage
from graphs.page.rendering import document, feature_html, overview_html
from graphs.page.shading import shaded_tokens
from graphs.runs import RunStore
from graphs.storage import open_database
from tests.evaluations import DEAD, EXPLAINED, NAMED, evaluated, explained, run_saesage
from tools.database import Database
from tools.errors import RunNotFound

CONTEXT = NAMED["None after is"]


class Links(HTMLParser):
    """Collects what a page links to, what its elements are called, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name == "href" and value and value.startswith("#"):
                self.targets.add(value[1:])
            elif name in ("src", "href", "srcset", "data", "action"):
                self.loaded.append(f"{tag} {name}={value}")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("report") / "scored.duckdb"
    shutil.copy(evaluated(tmp_path_factory), copy)
    return copy


@pytest.fixture(scope="module")
def pages(path: Path) -> tuple[Overview, list[FeaturePage]]:
    with open_database(str(path), create=False) as database:
        overview = read_overview(database)
        return overview, [read_feature(database, row.thread) for row in overview.threads]


@pytest.fixture(scope="module")
def page(pages: tuple[Overview, list[FeaturePage]]) -> FeaturePage:
    return pages[1][CONTEXT]


def whole(database: Database) -> str:
    overview = read_overview(database)
    articles = [feature_html(read_feature(database, row.thread)) for row in overview.threads]
    return document("title", overview_html(overview) + "".join(articles))


def test_the_pages_hold_what_show_and_export_know(
    path: Path, pages: tuple[Overview, list[FeaturePage]]
) -> None:
    overview, features = pages
    with open_database(str(path), create=False) as database:
        run, findings = RunStore(database).latest(), Findings(database)
        rows = findings.features(run)
        assert [each.status for each in overview.threads] == [row["status"] for row in rows]
        for row, page in zip(rows, features, strict=True):
            feature = row["feature"]
            assert (page.summary.feature, page.summary.confidence) == (feature, row["confidence"])
            known = {each["id"]: each for each in findings.hypotheses(run, feature)}
            assert {node.id: node.status for node in page.hypotheses} == {
                id: each["status"] for id, each in known.items()
            }
            tests = {test.id: test for node in page.hypotheses for test in node.tests}
            expected = {each["id"]: each for each in findings.experiments(run, feature)}
            assert tests.keys() == expected.keys()
            assert page.summary.n_experiments == len(tests)
            for id, test in tests.items():
                assert test.supports == expected[id]["supports"]
                assert test.normalized == expected[id]["normalized"]


def test_the_histogram_counts_every_active_token(
    pages: tuple[Overview, list[FeaturePage]],
) -> None:
    for page in pages[1]:
        assert page.histogram is not None
        assert sum(page.histogram.counts) == page.n_active_tokens


def test_each_hypothesis_stands_below_the_one_that_it_refines(page: FeaturePage) -> None:
    above: list[str] = []
    for node in page.hypotheses:
        del above[node.depth :]
        assert node.parent == (above[-1] if above else None)
        above.append(node.id)
    assert any(node.parent for node in page.hypotheses)


def test_rounds_tell_when_verdicts_fell(page: FeaturePage) -> None:
    told = [event for each in page.rounds for event in each.events]
    for node in page.hypotheses:
        assert f"{node.id} {node.status}" in told
        decided = node.decided
        assert decided is not None
        assert decided >= max((test.round for test in node.tests), default=0)


def test_every_link_leads_to_something_and_nothing_is_loaded(path: Path) -> None:
    with open_database(str(path), create=False) as database:
        links = Links(whole(database))
    assert len(links.ids) == len(set(links.ids))
    assert links.targets - set(links.ids) == set()
    assert any("-O" in target for target in links.targets)
    assert links.loaded == []


def test_scores_are_shown_with_what_was_written(page: FeaturePage) -> None:
    html = feature_html(page)
    [cell] = [
        each
        for each in page.scores
        if (each.metric, each.explainer) == ("predictive_balanced", "agentic")
    ]
    assert cell.value is not None
    assert cell.low is not None
    assert f"{cell.value:.2f}<i>{cell.low:.2f} " in html
    assert any(text.wanted == "active" and text.normalized > 0.5 for text in page.written)
    assert "Not available for this subject" in html


def test_means_are_those_that_compare_prints(
    path: Path, pages: tuple[Overview, list[FeaturePage]]
) -> None:
    with open_database(str(path), create=False) as database:
        comparison = compare_run(database, RunStore(database).latest())
    expected = {
        (each.metric, standing.explainer): standing.mean.value
        for each in comparison.metrics
        for standing in each.standings
        if standing.mean is not None
    }
    overview, _ = pages
    shown = distributions(overview.threads, overview.metrics)
    assert len(shown) >= 5
    for metric in shown:
        for strip in metric.strips:
            assert strip.mean == pytest.approx(expected[metric.metric, strip.explainer])


def test_without_scores_it_says_how_to_get_them(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = shutil.copy(explained(tmp_path_factory), tmp_path / "run.duckdb")
    with open_database(str(copy), create=False) as database:
        html = whole(database)
        assert read_overview(database).metrics == ()
    assert html.count("saesage evaluate") == 1 + len(EXPLAINED) + 1


def test_a_feature_without_exemplars_has_a_page(path: Path) -> None:
    with open_database(str(path), create=False) as database:
        thread = next(row for row in read_overview(database).threads if row.feature == DEAD)
        html = feature_html(read_feature(database, thread.thread))
    assert thread.words.startswith("Fires on 0 of ")
    assert 'class="badge is-dead"' in html
    assert "Top activations" not in html


def test_a_feature_that_has_not_begun_has_a_page(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = shutil.copy(explained(tmp_path_factory), tmp_path / "run.duckdb")
    with duckdb.connect(str(copy)) as connection:
        for log in ("feature", "hypotheses", "experiments", "observations", "explanations"):
            connection.execute(f"DELETE FROM {log}_log WHERE feature = {CONTEXT}")
        connection.execute(
            "INSERT INTO failures (run, feature, error, message) "
            f"SELECT run, {CONTEXT}, 'SubjectError', 'no <exemplars>' FROM runs"
        )
    with open_database(str(copy), create=False) as database:
        [row] = read_overview(database, [CONTEXT]).threads
        page = read_feature(database, row.thread)
    assert (row.status, row.words, page.failure) == ("failed", "no <exemplars>", "no <exemplars>")
    assert page.hypotheses == ()
    assert "no &lt;exemplars&gt;" in feature_html(page)


def test_a_file_without_histograms_still_gives_a_report(path: Path, tmp_path: Path) -> None:
    copy = shutil.copy(path, tmp_path / "old.duckdb")
    with duckdb.connect(str(copy)) as connection:
        connection.execute("DROP TABLE feature_histograms; DROP TABLE logit_effects")
    with open_database(str(copy), create=False) as database:
        thread = read_overview(database, [CONTEXT]).threads[0].thread
        assert "No histogram is stored" in feature_html(read_feature(database, thread))


def test_tokens_are_shaded_by_their_share_of_the_scale() -> None:
    shown = shaded_tokens(["a", " b", "\n  ", "<i>"], [0.0, 9.0, 0.1, 4.0], 9.0)
    assert shown == (
        "a<b class=s9 title=9> b</b><b class=s1 title=0.1>↵··</b><b class=s4 title=4>&lt;i&gt;</b>"
    )


def test_the_command_writes_one_file_of_the_features_asked_for(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    said = run_saesage("report", path, "--features", f"0,{CONTEXT}-{CONTEXT + 1}", "-o", out)
    assert said.code == 0
    html = out.read_text(encoding="utf-8")
    articles = [id for id in Links(html).ids if id.removeprefix("f").isdigit()]
    assert articles == ["f0", f"f{CONTEXT}", f"f{CONTEXT + 1}"]


def test_bad_input_is_told_in_a_sentence(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    duckdb.connect(str(tmp_path / "foreign.duckdb")).execute("CREATE TABLE mine (a INTEGER)")
    duckdb.connect(str(tmp_path / "empty.duckdb")).close()
    sqlite3.connect(tmp_path / "lite.db").execute("CREATE TABLE t (a)")
    (tmp_path / "nothing.duckdb").touch()
    for database, options, reason in (
        (path, ("--features", "99"), "no feature 99"),
        (path, ("--features", "x"), "name ids and ranges"),
        (path, ("--run", "nobody"), "nobody"),
        (path, ("-o", tmp_path / "missing" / "a.html"), "cannot write"),
        (tmp_path / "absent.duckdb", (), "no database"),
        (tmp_path / "empty.duckdb", (), "no run yet"),
        (tmp_path / "nothing.duckdb", (), "not a DuckDB file"),
        (tmp_path / "foreign.duckdb", (), "not saesage's"),
        (tmp_path / "lite.db", (), "not a DuckDB file"),
    ):
        said = run_saesage("report", database, "-o", out, *options)
        assert (said.code, reason in said.err) == (2, True), (reason, said.err)
    assert not out.exists()


def test_a_database_in_use_names_its_holder(path: Path, tmp_path: Path) -> None:
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); "
        "sys.stdin.read(); c.close()"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        said = run_saesage("report", path, "-o", tmp_path / "report.html")
        holder.communicate("")
    assert said.code == 2
    assert str(holder.pid) in said.err


def test_an_unknown_thread_is_refused(path: Path) -> None:
    with (
        open_database(str(path), create=False) as database,
        pytest.raises(RunNotFound, match="nobody"),
    ):
        read_feature(database, "nobody/3")
