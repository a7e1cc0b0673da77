"""What the README shows is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from graphs.commands import app
from graphs.explain import build_graph
from graphs.steering.commands import app as steering_app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LONGEST = 200


def test_it_is_short() -> None:
    """What a program writes aside: tables, and the picture, which LangGraph draws."""
    by_hand = re.sub(r"<!-- (\w+): written by.*?<!-- end of \1 -->", "", README, flags=re.DOTALL)
    by_hand = re.sub(r"```mermaid\n.*?```\n", "", by_hand, flags=re.DOTALL)
    assert len(by_hand.splitlines()) <= LONGEST


def test_the_picture_is_the_graph() -> None:
    shown = re.search(r"```mermaid\n(.*?)```", README, re.DOTALL)
    assert shown
    drawn = build_graph().get_graph().draw_mermaid(with_styles=False)
    assert shown[1].strip() == drawn.strip()


def test_every_command_is_named_and_has_help() -> None:
    for command in (*app.registered_commands, *steering_app.registered_commands):
        assert command.callback is not None
        name = command.callback.__name__
        assert f"saesage {name}" in README
        mounted = app if command in app.registered_commands else steering_app
        help_text = CliRunner().invoke(mounted, [name, "--help"]).output
        assert "Example: saesage" in help_text


def test_every_path_it_names_exists() -> None:
    block = README.split("```text\nsaesage.py")[1].split("```")[0]
    folder = ""
    for line in block.splitlines()[1:]:
        names = re.split(r" {3,}", line.strip())[0].split()
        folder = folder if line.startswith(" ") else names[0]
        for name in names:
            assert (ROOT / folder / name if line.startswith(" ") else ROOT / name).exists(), line
    for link in re.findall(r"\]\(([^)h][^)]*)\)", README):
        assert (ROOT / link).exists(), link
