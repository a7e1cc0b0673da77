"""The notebooks run as they stand, in any working directory, and are kept without outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
LONGEST_CELL = 20
SECONDS_A_CELL = 300

NAMES = ("01_explain_one_feature", "02_read_the_evidence", "03_write_a_policy")


def read(name: str) -> Any:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def shown(notebook: Any) -> str:
    """Everything that the cells put out, HTML where there is some."""
    parts: list[str] = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            parts.append(output.get("text") or data.get("text/html") or data.get("text/plain", ""))
    return "\n".join(parts)


@pytest.fixture
def executed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """What a notebook shows when it is run in an empty folder."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for place in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(place, str(tmp_path / place))
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    notebook = read(request.param)
    resources = {"metadata": {"path": str(folder)}}
    # A cell that fails raises.
    NotebookClient(notebook, timeout=SECONDS_A_CELL, resources=resources).execute()
    assert {path.name for path in folder.iterdir()} == {"runs"}
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    return shown(notebook)


def test_all_of_them_are_known() -> None:
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_kept_without_outputs(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.id
        if cell.cell_type == "code":
            assert not cell.outputs, cell.id
            assert cell.execution_count is None, cell.id
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("executed", ["01_explain_one_feature"], indirect=True)
def test_one_feature_is_explained_step_by_step(executed: str) -> None:
    nodes = ["gather_exemplars", "generate_hypotheses", "design_experiments", "run_experiments"]
    nodes += ["analyze_evidence", "refine_hypotheses", "conclude"]
    places = [executed.index(f"365 · {node}: ") for node in nodes]
    assert places == sorted(places)
    # Shaded tokens, the tree with one hypothesis opened, and the explanation with its evidence.
    assert "<b class=s9 title=" in executed
    assert '<div class="tree">' in executed
    assert 'id="f365-H1" open>' in executed
    assert "What it rests on" in executed


@pytest.mark.parametrize("executed", ["02_read_the_evidence"], indirect=True)
def test_the_evidence_is_read(executed: str) -> None:
    assert "citations: 0 missing, 0 otherwise than claimed" in executed
    for column in ("against", "observation", "token", "claim", "ending"):
        assert column in executed
    assert "near_miss" in executed


@pytest.mark.parametrize("executed", ["03_write_a_policy"], indirect=True)
def test_a_policy_is_swapped_in_and_compared(executed: str) -> None:
    # A statement that no other policy words so.
    assert "Fires on [&#39;" in executed or "Fires on ['" in executed
    table = executed[executed.index("explainer") :]
    for row in ("365 │ untested", "365 │ agentic", "550 │ untested", "550 │ agentic"):
        assert row in table
    assert "NULL" not in table
