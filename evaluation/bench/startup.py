"""How long the command line takes to answer, against the library that it is written with."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from evaluation.bench.rows import BenchRow

REPEATS = 9
HELP_TARGET = 2.0
"""`saesage --help` over a bare `import typer`: both start Python, so 1 is the floor."""


def startup_rows() -> list[BenchRow]:
    """`saesage --help` as a multiple of `python -c "import typer"`, fastest of 9 each."""
    executable = Path(sys.executable).with_name("saesage")
    bare = [sys.executable, "-c", "import typer"]
    helped, imported = _fastest([str(executable), "--help"], bare)
    return [BenchRow("saesage --help / import typer", helped / imported, HELP_TARGET, "ratio")]


def _fastest(*commands: list[str]) -> list[float]:
    """Fastest run of each command in seconds, taken in turn so that noise hits all alike."""
    best = [float("inf")] * len(commands)
    for _ in range(REPEATS):
        for index, command in enumerate(commands):
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            best[index] = min(best[index], time.perf_counter() - start)
    return best
