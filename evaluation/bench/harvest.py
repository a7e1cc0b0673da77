"""How near a harvest of all features comes to the forward passes that it cannot do without."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Collection, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from evaluation.bench.harvest_memory import cost_of_harvest
from evaluation.bench.harvest_subject import (
    MODEL,
    SAE,
    demo_sample,
    demo_subject,
    harvest_all,
    store_all,
)
from evaluation.bench.harvest_ways import PlainWays
from evaluation.bench.rows import BenchRow
from tools.harvest import corpus_pass, harvest, tables
from tools.harvest.sampling import CorpusSample
from tools.subject import LoadedSubject

TOKENS = 196_608
REPEATS = 3
LAYER = 2
"""The block whose output the demo's SAE reads."""
NAIVE_WINDOWS = 64
DENSE_WINDOWS = 256
MEMORY_TARGETS = {1_536: 150, 16_384: 1_024}
"""Latents, and MiB."""


def harvest_rows() -> list[BenchRow]:
    """Harvest, naive loop and dense way as shares of the bound's speed; memory."""
    subject = demo_subject(None)
    sample = demo_sample(subject, TOKENS)
    windows = [window.token_ids for window in sample.windows]
    ways: PlainWays = PlainWays.load(MODEL, SAE, LAYER, windows)
    rows: list[BenchRow] = []
    for threads in (1, 2):
        with _threads(threads):
            bound, harvested, stored = _bound_and_harvest(ways, subject, sample)
            name = f"{threads} thread(s), all {subject.info.n_features} features: harvest"
            rows.append(_speed(f"{name} with traces / bound", bound / harvested, 1.0))
            rows.append(_speed(f"{name} and DuckDB file / bound", bound / stored, None))
    with _threads(1):
        rows += _others(ways, bound_per_window=_bound_once(ways) / len(windows))
    for n_latents, target in MEMORY_TARGETS.items():
        name = f"harvest of {n_latents} latents: memory beside the subject"
        rows.append(BenchRow(name, cost_of_harvest(n_latents).mebibytes, target, "MiB"))
    return rows


def harvest_profile(tokens: int = 196_608) -> str:
    """Where the processor time of a harvest goes, in per cent."""
    subject = demo_subject(None)
    sample = demo_sample(subject, tokens)
    spent: dict[str, float] = {}
    parts: tuple[tuple[Any, str, str], ...] = (
        (subject.reader, "read", "forward passes"),
        (subject.half.encoder, "fire", "encoding"),
        (corpus_pass, "sort_firings", "sorting by feature"),
        (harvest, "keep", "choosing exemplars"),
        (tables, "_insert", "writing to DuckDB"),
    )
    with _threads(1), tempfile.TemporaryDirectory() as folder, ExitStack() as patches:
        for owner, name, part in parts:
            timed = _timed(getattr(owner, name), spent, part)
            patches.enter_context(patch.object(owner, name, timed))
        began = time.process_time()
        store_all(subject, sample, Path(folder))
        everything = time.process_time() - began
    shares = {**spent, "the rest": everything - sum(spent.values())}
    words = ", ".join(f"{name} {seconds / everything:.0%}" for name, seconds in shares.items())
    return f"Processor time of a harvest of {sample.n_tokens} tokens: {words}."


def _bound_and_harvest(
    ways: PlainWays, subject: LoadedSubject, sample: CorpusSample
) -> tuple[float, float, float]:
    """Fastest of each in seconds, taken in turn so that noise hits all alike.

    Returns:
        The bound, the harvest, and the harvest with its DuckDB file.
    """
    times: tuple[list[float], ...] = ([], [], [])
    for _ in range(REPEATS):
        times[0].extend(_seconds(lambda size=size: ways.bound(size)) for size in (16, 32))
        for work, taken in ((harvest_all, times[1]), (store_all, times[2])):
            with tempfile.TemporaryDirectory() as folder:
                taken.append(_seconds(lambda do=work, at=folder: do(subject, sample, Path(at))))
    bound, harvested, stored = map(min, times)
    return bound, harvested, stored


def _bound_once(ways: PlainWays) -> float:
    return min(_seconds(lambda size=size: ways.bound(size)) for size in (16, 32))


def _others(ways: PlainWays, bound_per_window: float) -> list[BenchRow]:
    """The rivals on a part of the corpus: their time grows with the windows."""
    few = PlainWays(ways.model, ways.sae, ways.layer, ways.windows[:NAIVE_WINDOWS], ways.bos)
    some = PlainWays(ways.model, ways.sae, ways.layer, ways.windows[:DENSE_WINDOWS], ways.bos)
    naive = _seconds(few.naive) / NAIVE_WINDOWS
    dense = _seconds(lambda: some.dense(32)) / DENSE_WINDOWS
    n_features = int(ways.sae.cfg.d_sae)
    return [
        _speed("naive loop, ONE feature / bound", bound_per_window / naive, None),
        _speed(
            f"naive loop, all {n_features} features / bound",
            bound_per_window / naive / n_features,
            None,
        ),
        _speed(
            "collect everything, then sort, all features / bound", bound_per_window / dense, None
        ),
    ]


def _speed(name: str, value: float, target: float | None) -> BenchRow:
    return BenchRow(name, value, target, "of its speed", more_is_better=True)


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        run()
    return time.perf_counter() - start


def _timed(function: Any, spent: dict[str, float], name: str) -> Any:
    """The same function, adding the processor time of its thread to `spent`."""

    def timed(*positional: Any, **named: Any) -> Any:
        start = time.thread_time()
        try:
            return function(*positional, **named)
        finally:
            spent[name] = spent.get(name, 0.0) + time.thread_time() - start

    return timed


@contextmanager
def _threads(number: int) -> Generator[None]:
    """So many threads of torch, and as many processors for everything there is."""
    before, processors = torch.get_num_threads(), os.sched_getaffinity(0)
    torch.set_num_threads(number)
    _pin(sorted(processors)[:number])
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _pin(processors)


def _pin(processors: Collection[int]) -> None:
    # Of all threads: what has been started already keeps the processors it began with.
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), processors)
