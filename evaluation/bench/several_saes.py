"""What SAEs of one model save by sharing their passes over the corpus."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from evaluation.bench.harvest_subject import MODEL, demo_subject, random_sae
from evaluation.bench.rows import BenchRow
from graphs.config import RunConfig, parse_config
from graphs.harvesting import ToHarvest, harvest_all
from graphs.storage import open_database
from graphs.terminal.progress import ProgressReporter

TOKENS = 49_152
REPEATS = 2
NUMBERS = (2, 4)


def several_saes_rows() -> list[BenchRow]:
    """Whole harvests of random SAEs at the demo's hook point, together and one after the other.

    The fastest of each, taken in turn so that noise hits all alike.
    """
    with tempfile.TemporaryDirectory() as folder:
        configs = [_config(Path(folder) / f"{seed}", seed) for seed in range(max(NUMBERS))]
        ways = [*([config] for config in configs), *(configs[:number] for number in NUMBERS)]
        times = [[_seconds(way) for way in ways] for _ in range(REPEATS)]
    fastest = [min(taken) for taken in zip(*times, strict=True)]
    apart, together = fastest[: len(configs)], fastest[len(configs) :]
    return [
        BenchRow(
            f"{number} SAEs of one model: harvested together / one after the other",
            seconds / sum(apart[:number]),
            None,
            "of wall",
        )
        for number, seconds in zip(NUMBERS, together, strict=True)
    ]


def _seconds(configs: Sequence[RunConfig]) -> float:
    """With loading, reading the corpus and storing: all that `saesage harvest` does."""
    start = time.perf_counter()
    with (
        open_database(":memory:", create=True) as database,
        ProgressReporter(Console(stderr=True)) as reporter,
    ):
        harvest_all([ToHarvest(config, database) for config in configs], reporter)
    return time.perf_counter() - start


def _config(path: Path, seed: int) -> RunConfig:
    own = demo_subject(None)
    sae = random_sae(path, own, own.info.n_features, seed)
    return parse_config(
        {
            "subject": {"model": str(MODEL), "sae": {"path": str(sae)}, "device": "cpu"},
            "corpus": {"source": "python-stdlib", "max_tokens": TOKENS},
            "features": [f"0-{own.info.n_features - 1}"],
        }
    )
