"""A language-model run of a tiny subject through the command line, in this process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import saesage
from tests.subjects import make_model_dir, make_sae_dir


class Said(NamedTuple):
    code: int
    text: str
    """Standard output and standard error."""


def make_subject(folder: Path) -> None:
    make_model_dir(folder / "model")
    make_sae_dir(folder / "sae")


def write_config(path: Path, subject: Path, features: list[int], **llm: Any) -> Path:
    """A configuration beside its database."""
    content = {
        "subject": {"model": str(subject / "model"), "sae": {"path": str(subject / "sae")}},
        "corpus": {"source": "python-stdlib", "max_tokens": 5000},
        "features": features,
        "policies": {"default": "language_model"},
        "llm": {"model": "scientist", **llm},
        "budget": {"rounds": 2, "experiments": 24},
        "database": str(path.with_suffix(".duckdb")),
    }
    path.write_text(yaml.safe_dump(content))
    return path


def saesage_says(capfd: pytest.CaptureFixture[str], *arguments: object) -> Said:
    """Run a command to its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["saesage", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            saesage.main()
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    return Said(int(end.value.code or 0), out + err)
