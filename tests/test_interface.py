"""What `import saesage` gives in Python: results as records, as text and as HTML."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import duckdb
import pytest

import saesage
from graphs.notebook.following import Step
from graphs.notebook.views import Investigation, Results
from tests.fakes import FakeSubject
from tests.steered import ANIMALS, RETURN, write_config
from tools.errors import (
    ConfigError,
    DatabaseNotFound,
    EmptyText,
    FeatureOutOfRange,
    HypothesisNotFound,
    RunNotFound,
)

ROOT = Path(__file__).parent.parent
STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def explained(folder: Path, **options: object) -> tuple[Results, list[Step]]:
    steps: list[Step] = []
    return saesage.explain(write_config(folder), on_step=steps.append, **options), steps


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return explained(tmp_path_factory.mktemp("interface"))[0]


@pytest.fixture
def found(results: Results) -> Investigation:
    return saesage.look(results.database, RETURN)


def test_importing_it_is_light() -> None:
    script = "import saesage, sys; print('torch' in sys.modules)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False"]


def test_it_has_nothing_else() -> None:
    for name in saesage.__all__:
        assert getattr(saesage, name)
    with pytest.raises(AttributeError, match="no attribute 'explian'"):
        saesage.explian  # noqa: B018


def test_the_shipped_configuration_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert saesage.load_subject(saesage.QUICKSTART).info.n_features == 1536


def test_a_subject_is_loaded_once(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    assert saesage.load_subject(config) is saesage.load_subject(config)


def test_each_step_is_told_once_and_in_order(tmp_path: Path) -> None:
    results, steps = explained(tmp_path)
    for feature in (RETURN, ANIMALS):
        own = [step.entry for step in steps if step.feature == feature]
        assert [entry.step for entry in own] == list(range(1, len(own) + 1))
        assert own[0].node is None
        assert own[-1].node == "conclude"
        assert own[-1].status == "explained"
    assert [row.feature for row in results.rows] == [RETURN, ANIMALS]
    # What is finished is not told, and not done, again.
    again, told = explained(tmp_path)
    assert told == []
    assert again.rows == results.rows
    anew, told = explained(tmp_path, new=True)
    assert len(told) == len(steps)
    assert anew.run != results.run


def test_what_the_user_names_takes_the_place_of_the_configuration(tmp_path: Path) -> None:
    elsewhere = tmp_path / "deep" / "other.duckdb"
    results, steps = explained(
        tmp_path, features=[ANIMALS], database=elsewhere, overrides=["budget.rounds=1"]
    )
    assert results.database == str(elsewhere)
    assert {step.feature for step in steps} == {ANIMALS}
    assert max(step.entry.round for step in steps) == 1


def test_the_file_is_free_afterwards(results: Results) -> None:
    with duckdb.connect(results.database, read_only=True) as connection:
        rows = connection.sql("SELECT status FROM features ORDER BY rank").fetchall()
    assert rows == [(row.status,) for row in results.rows]


def test_a_step_is_one_line(tmp_path: Path) -> None:
    _, steps = explained(tmp_path, features=[RETURN])
    lines = [str(step) for step in steps]
    assert lines[0] == f"{RETURN} · start: begun"
    assert all("\n" not in line and not line.endswith(": ") for line in lines)


def test_probing_shades_by_the_strongest_or_by_the_scale() -> None:
    subject = FakeSubject()
    measured = saesage.probe(subject, RETURN, "return the cat", "the cat")
    fires, silent = measured.passages
    [direct, _] = subject.activations(["return the cat", "the cat"], [RETURN])
    assert fires.activations == tuple(direct.activations[:, 0].tolist())
    assert fires.max_activation == measured.scale > 0
    assert silent.max_activation == 0
    assert "<b class=s9 title=" in measured._repr_html_()
    assert "|1.0]" in repr(measured)
    faint = saesage.probe(subject, RETURN, "return the cat", scale=2 * measured.scale)
    assert "|0.5]" in repr(faint)
    assert "class=s9" not in STYLE.sub("", faint._repr_html_())


def test_a_look_shows_what_the_database_holds(found: Investigation) -> None:
    page = found.page
    assert page.summary.words in repr(found)
    for node in page.hypotheses:
        assert f"{node.id} ({node.status}, {node.held} of {len(node.tests)} held)" in repr(found)
    html = unescape(found._repr_html_())
    for claim in page.claims:
        assert claim.text in repr(found.explanation)
        assert claim.text in html.replace("\N{NO-BREAK SPACE}", " ")
    for group in page.exemplars:
        assert group.title in repr(found.exemplars)
        assert group.title in found.exemplars._repr_html_()


def test_one_hypothesis_comes_with_its_tests(found: Investigation) -> None:
    node = found.page.hypotheses[0]
    opened = found.hypotheses[node.id]
    assert " open>" in opened._repr_html_()
    assert " open>" not in found.hypotheses._repr_html_()
    for test in node.tests:
        assert f"  {test.observation} " in repr(opened)
        assert f"  {test.observation} " not in repr(found.hypotheses)
    for other in found.page.hypotheses[1:]:
        assert f"-{other.id}" not in opened._repr_html_()


def test_results_are_a_table(results: Results) -> None:
    assert len(repr(results).splitlines()) == len(results.rows)
    assert results._repr_html_().count("<tr>") == 1 + len(results.rows)


def test_the_style_reaches_nothing_else_in_the_notebook(found: Investigation) -> None:
    html = found._repr_html_()
    [style] = STYLE.findall(html)
    outside, depth = "", 0
    for character in re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL):
        depth -= character == "}"
        if depth == 0 and character not in "{}":
            outside += character
        outside += "\n" * (depth == 0 and character == "}")
        depth += character == "{"
    assert depth == 0
    selectors = [line.strip() for line in outside.splitlines() if line.strip()]
    assert selectors
    for line in selectors:
        assert all(part.strip().startswith(".saesage") for part in line.split(","))
    assert html.startswith('<div class="saesage">')


def test_bad_input_is_told(results: Results, found: Investigation, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no config file"):
        saesage.load_subject(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="rounds"):
        explained(tmp_path, overrides=["budget.rounds=0"])
    with pytest.raises(DatabaseNotFound):
        saesage.look(tmp_path / "none.duckdb", RETURN)
    with pytest.raises(RunNotFound, match="feature 5"):
        saesage.look(results.database, 5)
    with pytest.raises(RunNotFound, match="no run 'x'"):
        saesage.look(results.database, RETURN, run="x")
    with pytest.raises(HypothesisNotFound, match="known: H1"):
        found.hypotheses["H99"]
    with pytest.raises(EmptyText, match="at least one"):
        saesage.probe(FakeSubject(), RETURN)
    with pytest.raises(FeatureOutOfRange):
        saesage.probe(FakeSubject(), 999, "return")


def test_a_run_is_scored(tmp_path: Path) -> None:
    results, _ = explained(tmp_path)
    outcome = saesage.evaluate(results, metrics=["predictive_balanced"], baselines=["none"])
    assert outcome.scored == 2
    assert not outcome.was_done
    with duckdb.connect(results.database, read_only=True) as connection:
        rows = connection.sql("SELECT feature, run FROM scores ORDER BY feature").fetchall()
    assert rows == [(RETURN, results.run), (ANIMALS, results.run)]
    assert saesage.evaluate(results, ["predictive_balanced"], ["none"]).was_done
