"""What keeps the house in order: sizes, arrows, names, light start-up."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphs.explain import build_graph

ROOT = Path(__file__).parent.parent
FOLDERS = ("tools", "graphs", "evaluation")
SOURCES = [ROOT / "saesage.py", *(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py"))]
LONGEST_FILE = 300
LONGEST_FUNCTION = 60


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [("tools", {"graphs", "evaluation", "saesage"}), ("graphs", {"evaluation", "saesage"})],
)
def test_arrows_point_down(folder: str, forbidden: set[str]) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert not forbidden & set(imported(path)), path


def test_each_node_is_a_file_of_its_name() -> None:
    files = {path.stem for path in (ROOT / "graphs" / "nodes").glob("*.py")} - {"__init__"}
    assert set(build_graph().get_graph().nodes) - {"__start__", "__end__"} == files


def test_the_wiring_is_in_one_place() -> None:
    holders = [path for path in SOURCES if ".add_node(" in path.read_text(encoding="utf-8")]
    assert holders == [ROOT / "graphs" / "explain.py"]


@pytest.mark.parametrize(
    "modules",
    [
        "graphs.commands",
        "graphs.terminal.tables, graphs.terminal.show, graphs.findings, graphs.storage",
        "graphs.page.commands, graphs.page.report, graphs.page.reading",
    ],
)
def test_reading_a_database_imports_nothing_heavy(modules: str) -> None:
    script = f"import {modules}, sys; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert not {"torch", "sae_lens", "transformers", "datasets"} & set(done.stdout.split())
