"""What a harvest takes on disk, and a thread's checkpoints."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, empty_checkpoint
from rich.console import Console

from evaluation.bench.many_features import checkpoint_bytes
from evaluation.bench.rows import BenchRow
from graphs.checkpointer import DuckDBSaver, strict_serializer
from graphs.config_file import load_config
from graphs.projection import thread_of
from graphs.records import RECORD_TYPES, Experiment, Hypothesis, Observation
from graphs.run import corpus_spec
from graphs.state import merge_by_id
from graphs.storage import open_database
from graphs.subjects import open_subject
from graphs.terminal.progress import ProgressReporter
from tools.harvest.collection import collect_exemplars
from tools.harvest.features import parse_features
from tools.harvest.store import ExemplarStore

CONFIG = Path(__file__).parents[2] / "graphs" / "configs" / "quickstart.yaml"
TOKENS = 300_000
"""Of the corpus; a quarter of them for the shorter one."""
ROUNDS = 14
"""The most that are configured by default."""
HYPOTHESES = 8
TEXTS_PER_ROUND = 14
"""As many as spend the default budget of 200 experiments in as many rounds."""


def storage_rows() -> list[BenchRow]:
    """Disk per harvested feature, and how checkpoints grow with rounds."""
    with tempfile.TemporaryDirectory() as folder:
        long, short = (_harvested(Path(folder), tokens) for tokens in (TOKENS, TOKENS // 4))
        grown = _thread_bytes(2 * ROUNDS) / _thread_bytes(ROUNDS)
        name = f"all features of the demo, {TOKENS:,} tokens"
        return [
            BenchRow(f"{name}: disk per harvested feature", long, 8.0, "KiB"),
            BenchRow(f"{name}: disk / with a quarter of them", long / short, 1.5, "ratio"),
            BenchRow(f"checkpoints of {2 * ROUNDS} rounds / of {ROUNDS}", grown, 2.2, "of bytes"),
        ]


def _harvested(folder: Path, tokens: int) -> float:
    """KiB of the file for each of the demo's features, once all of them are harvested."""
    path = folder / f"{tokens}.duckdb"
    config = load_config(CONFIG, [f"corpus.max_tokens={tokens}"], database=str(path))
    subject = open_subject(config.subject)
    n_features = subject.info.n_features
    request = parse_features(f"0-{n_features - 1}", n_features)
    with (
        open_database(config.database, create=True) as database,
        ProgressReporter(Console(stderr=True)) as reporter,
    ):
        reporter.stage("measuring the corpus")
        corpus = corpus_spec(config.corpus)
        store = ExemplarStore(database)
        collect_exemplars(subject, corpus, request, 0, store, progress=reporter.harvest)
    return path.stat().st_size / n_features / 1024


def _thread_bytes(rounds: int) -> int:
    """Of the checkpoints of one feature that takes so many rounds: each a step and its writes."""
    lists: dict[str, list[Any]] = {
        name: [] for name in ("hypotheses", "experiments", "observations")
    }
    versions: ChannelVersions = {}
    at: RunnableConfig = {"configurable": {"thread_id": thread_of("bench", 0), "checkpoint_ns": ""}}
    with open_database(":memory:", create=True) as database:
        saver = DuckDBSaver(database, serde=strict_serializer(RECORD_TYPES))
        for number in range(rounds):
            found = _round(number)
            if number:
                saver.put_writes(at, [*found.items()], task_id=f"{number}")
            lists = {name: merge_by_id(lists[name], found[name]) for name in lists}
            versions = dict.fromkeys(lists, f"{number:08}")
            values = {"channel_values": lists, "channel_versions": versions}
            step = cast("Checkpoint", {**empty_checkpoint(), **values})
            at = saver.put(at, step, {"step": number}, versions)
        return checkpoint_bytes(database)


def _round(number: int) -> dict[str, list[Any]]:
    """As many texts as a round may have, and the hypotheses that they were about."""
    ids = [f"{number}.{text}" for text in range(1, TEXTS_PER_ROUND + 1)]
    statement = "Fires on a word in context." * 4
    return {
        "hypotheses": [
            Hypothesis(id=f"H{h}", statement=statement, round=0, reason=ids[h])
            for h in range(HYPOTHESES)
        ],
        "experiments": [_experiment(id, number) for id in ids],
        "observations": [_observation(id) for id in ids],
    }


def _experiment(id: str, number: int) -> Experiment:
    return Experiment(
        id=f"E{id}",
        design=f"E{number}",
        hypothesis="H1",
        kind="positive",
        text=f"a text of some words, such as {id}",
        predicted="active",
        purpose="to tell the hypothesis from its rivals",
        round=number,
    )


def _observation(id: str) -> Observation:
    return Observation(
        id=f"O{id}",
        experiment=f"E{id}",
        hypothesis="H1",
        tokens=tuple(f" {id}.{n}" for n in range(16)),
        activations=tuple(n / 7 for n in range(16)),
        max_activation=15 / 7,
        normalized=1.0,
        outcome="active",
        supports=True,
    )
