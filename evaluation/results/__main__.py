"""Explain and score the demo subject and the planted ones, and write down what came of it."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from evaluation import planted_sae
from evaluation.comparison import compare_run
from evaluation.comparison.tables import print_comparison
from evaluation.evaluate import Request, evaluate_run
from evaluation.resident import forget_peak, peak
from evaluation.results.further import Effort, further_figures
from evaluation.results.parquet import write_scores
from evaluation.results.readme import with_block
from evaluation.results.summary import Result, results_of
from evaluation.scores import SCORE_DDL
from graphs.config_file import load_config
from graphs.run import finish_run
from graphs.runs import RunStore
from graphs.storage import open_database
from graphs.terminal.progress import ProgressReporter
from tools.database import initialise
from tools.heaps import share_heaps

ROOT = Path(__file__).parents[2]
WORK = ROOT / "runs" / "results"
CONFIGS = ROOT / "evaluation" / "configs"
SUMMARY = ROOT / "results.json"
README = ROOT / "README.md"
SUBJECTS = ("demo", "planted", "planted-sae")
"""Each has a configuration of its name; the last one's SAE is made first."""
ABLATIONS = {"positives only": "PositivesOnly", "no exploration": "Unexplored"}
"""Classes of `evaluation.ablations` that design experiments on the planted subject besides."""
ABLATED = "planted"


def main() -> None:
    """From nothing to results.json, runs/results/scores.parquet and the README's block."""
    argparse.ArgumentParser(prog="python -m evaluation.results", description=__doc__).parse_args()
    share_heaps()
    console = Console(stderr=True, highlight=False)
    # Explanations of an older saesage must not count.
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    planted_sae.build(WORK / "planted-sae")
    rows: list[Result] = []
    for subject in SUBJECTS:
        rows += _results(subject, subject, [], Request(), console)
    for ablation, policy in ABLATIONS.items():
        settings = [f"policies.design_experiments=evaluation.ablations:{policy}"]
        request = Request(metrics=("recovered", "verdicts"), baselines=("untested",))
        rows += _results(f"{ABLATED}, {ablation}", ABLATED, settings, request, console)
    write_scores([WORK / f"{subject}.duckdb" for subject in SUBJECTS], WORK / "scores.parquet")
    content = [row.as_json() for row in rows]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in content)
    SUMMARY.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    README.write_text(with_block(README.read_text(encoding="utf-8"), content), encoding="utf-8")


def _results(
    name: str, subject: str, settings: Sequence[str], request: Request, console: Console
) -> list[Result]:
    """Explain, score and compare one subject's features; `name` is what the rows are called."""
    start = time.monotonic()
    database_path = str(WORK / f"{name.replace(', ', '-').replace(' ', '-')}.duckdb")
    config = load_config(CONFIGS / f"{subject}.yaml", settings, database=database_path)
    with open_database(config.database, create=True) as database:
        initialise(database, SCORE_DDL)
        run = RunStore(database).open(config)
        with ProgressReporter(console) as reporter:
            forget_peak()
            finish_run(database, run, reporter)
            effort = Effort(time.monotonic() - start, peak() / 1024)
            evaluate_run(database, run, request, reporter)
        comparison = compare_run(database, run)
        further = further_figures(database, run, name, effort)
    print_comparison(Console(highlight=False), comparison)
    console.print(f"{name}: {time.monotonic() - start:.0f} s", style="bold")
    return [*results_of(name, comparison), *further]


if __name__ == "__main__":
    main()
