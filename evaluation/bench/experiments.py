"""Experiments of many features: full passes, one probe, and what the features cost together."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import torch

from evaluation.bench.many_features import ManyFeatures
from evaluation.bench.rows import BenchRow
from evaluation.bench.scoring import scoring_rows
from graphs.config_file import load_config
from graphs.storage import open_database
from graphs.subjects import open_subject
from tools.model import window_batches
from tools.model.hook_points import locate
from tools.model.readers import HookReader
from tools.scheduling.measured_texts import MeasuredTexts
from tools.scheduling.scheduler import Scheduler
from tools.subject import LoadedSubject

CONFIG = Path(__file__).parents[2] / "graphs" / "configs" / "quickstart.yaml"
FEATURES = 100
IN_FLIGHT = 64
ROUND = 12
"""Texts that a feature wants measured at a time."""
BATCHES = (16, 32, 64)
"""Texts of the passes that the scheduler's are held against; the best counts."""
REPEATS = 5
PROBES = 30
PROBE = "The quick brown fox imports the module and returns line"
PROBED_FEATURE = 17


def experiment_rows() -> list[BenchRow]:
    """Texts a second and a probe, then what explaining and scoring many features costs."""
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(
            CONFIG, features=f"random:{FEATURES}", database=str(Path(folder) / "bench.duckdb")
        )
        subject = open_subject(config.subject)
        assert isinstance(subject, LoadedSubject)
        with open_database(config.database, create=True) as database:
            many = ManyFeatures.harvested(database, config, subject)
            rows, seconds = many.measured()
            wanted = many.first_round(IN_FLIGHT, ROUND)
            rows += scoring_rows(database, many.latest, seconds)
    return [_batching(subject, wanted), _probe(subject), *rows]


def _batching(subject: LoadedSubject, wanted: Sequence[tuple[int, list[str]]]) -> BenchRow:
    """Texts a second through the scheduler over those of one perfectly batched forward."""
    distinct = dict.fromkeys(text for _, texts in wanted for text in texts)
    windows = sorted((subject.tokenize(text) for text in distinct), key=len)
    best_plain = best_asked = float("inf")
    with open_database(":memory:", create=True) as database:
        for _ in range(REPEATS):
            with database.transaction() as connection:
                connection.execute("DELETE FROM measured_texts")
            with closing(Scheduler(subject, MeasuredTexts(database))) as scheduler:
                # Finds out how each length is run, for a feature that nobody asks for below.
                scheduler.activations(list(distinct), [_other(wanted)])
                best_asked = min(best_asked, _seconds(lambda by=scheduler: _ask_all(by, wanted)))
            for size in BATCHES:
                best_plain = min(best_plain, _seconds(lambda n=size: _forward(subject, windows, n)))
    name = f"experiments of {len(wanted)} features in flight / one perfectly batched forward"
    return BenchRow(name, best_plain / best_asked, 0.85, "ratio", more_is_better=True)


def _other(wanted: Sequence[tuple[int, list[str]]]) -> int:
    taken = {feature for feature, _ in wanted}
    return next(feature for feature in itertools.count() if feature not in taken)


def _forward(subject: LoadedSubject, windows: Sequence[list[int]], size: int) -> None:
    # Padded to the longest of each batch and no further.
    with patch.object(window_batches, "RUNG_TOKENS", 1):
        for start in range(0, len(windows), size):
            subject.encode_windows(windows[start : start + size], [PROBED_FEATURE])


def _ask_all(scheduler: Scheduler, wanted: Sequence[tuple[int, list[str]]]) -> None:
    with ThreadPoolExecutor(len(wanted)) as pool:
        asked = [pool.submit(scheduler.activations, texts, [n]) for n, texts in wanted]
        for each in asked:
            each.result()


def _probe(subject: LoadedSubject) -> BenchRow:
    """One text through the scheduler over the bare forward up to the hook point."""
    point = locate(subject.model, subject.settings)
    assert point is not None
    reader = HookReader(subject.model, point, subject.settings.head)
    best_bare = best_asked = float("inf")
    with (
        open_database(":memory:", create=True) as database,
        closing(Scheduler(subject, MeasuredTexts(database))) as scheduler,
    ):
        for number in range(PROBES):
            # Another text each time, or it would be known.
            text = f"{PROBE} {number}"
            asked = _seconds(lambda it=text: scheduler.activations([it], [PROBED_FEATURE]))
            # One more token, in the place of the one that begins a sequence.
            ids = torch.tensor([[0, *subject.tokenize(text)]], device=subject.model.device)
            with torch.inference_mode():
                bare = _seconds(lambda it=ids: reader.read(it))
            best_bare, best_asked = min(best_bare, bare), min(best_asked, asked)
    name = "one probe / the bare early-stopped forward"
    return BenchRow(name, best_asked / best_bare, 1.5, "ratio")


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
