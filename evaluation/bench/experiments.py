"""Experiments and many features at once: full passes, one probe, growth, and a second start."""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from evaluation.bench.rows import BenchRow
from graphs.config import RunConfig
from graphs.config_file import load_config
from graphs.run import corpus_spec, finish_run
from graphs.runs import RunStore
from graphs.storage import open_database
from graphs.subjects import open_subject
from tools.activations import Subject
from tools.database import Database
from tools.harvest.collection import collect_exemplars
from tools.harvest.features import parse_features
from tools.harvest.store import ExemplarStore
from tools.model.hook_points import locate
from tools.model.readers import HookReader
from tools.scheduling.measured_texts import MeasuredTexts
from tools.scheduling.scheduler import Scheduler
from tools.subject import LoadedSubject

CONFIG = Path(__file__).parents[2] / "graphs" / "configs" / "quickstart.yaml"
SETTINGS = ["budget.rounds=3"]
"""What costs more with the length of a run shows however much each feature takes."""
FEATURES = 100
SAMPLE = 10
"""Features of the short runs that a long one is held against."""
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
    """Texts a second, a probe, the wall of many features, and the start over a known corpus."""
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(
            CONFIG,
            SETTINGS,
            features=f"random:{FEATURES}",
            database=str(Path(folder) / "bench.duckdb"),
        )
        subject = open_subject(config.subject)
        assert isinstance(subject, LoadedSubject)
        with open_database(config.database, create=True) as database:
            features = _harvested(database, config, subject)
            growth = _growth(database, config, features)
            wanted = _wanted(database)
            again = _first_hypothesis(database, config, features)
    return [_batching(subject, wanted), _probe(subject), growth, again]


class _Clock:
    """A Reporter that takes the times of a run's turning points."""

    def __init__(self) -> None:
        self.loaded = self.hypothesis = 0.0
        self.done: list[float] = []
        """Of the start and of the end of each feature."""
        self._lock = threading.Lock()

    @property
    def wall(self) -> float:
        """Seconds from the first feature's start to the last one's end."""
        return self.done[-1] - self.done[0]

    def stage(self, message: str) -> None:
        """Take the time of the last: model and SAE are loaded."""
        self.loaded = time.perf_counter()

    def harvest(self, done: int, total: int) -> None:
        """Nothing to take."""

    def features(self, done: int, total: int) -> None:
        """Take the time."""
        with self._lock:
            self.done.append(time.perf_counter())

    def step(self, feature: int, node: str) -> None:
        """Take the time when the first feature has its hypotheses."""
        with self._lock:
            if node == "design_experiments" and not self.hypothesis:
                self.hypothesis = time.perf_counter()


def _explain(database: Database, config: RunConfig, features: Sequence[int]) -> _Clock:
    """Explain features once more, every text measured anew."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM measured_texts")
    clock = _Clock()
    some = config.model_copy(update={"features": tuple(features)})
    finish_run(database, RunStore(database).open(some, new=True), clock)
    return clock


def _harvested(database: Database, config: RunConfig, subject: Subject) -> Sequence[int]:
    """The features, drawn, with their exemplars stored."""
    request = parse_features(config.features, subject.info.n_features)
    spec, store = corpus_spec(config.corpus), ExemplarStore(database)
    return collect_exemplars(subject, spec, request, config.seed, store).features


def _growth(database: Database, config: RunConfig, features: Sequence[int]) -> BenchRow:
    """Wall of a run of all features over the walls of short ones with the same, added up.

    Not over ten times that of some ten, for features differ more than runs do.
    """
    parts = [
        _explain(database, config, features[start : start + SAMPLE]).wall
        for start in range(0, FEATURES, SAMPLE)
    ]
    ratio = _explain(database, config, features).wall / sum(parts)
    name = f"wall of {FEATURES} features / {FEATURES // SAMPLE} x the wall of {SAMPLE}"
    return BenchRow(name, ratio, 1.0, "ratio")


def _first_hypothesis(database: Database, config: RunConfig, features: Sequence[int]) -> BenchRow:
    clock = _explain(database, config, features[:SAMPLE])
    seconds = clock.hypothesis - clock.loaded
    return BenchRow("second run: model loaded to first hypothesis", seconds, 2.0, "s")


def _wanted(database: Database) -> list[tuple[int, list[str]]]:
    """As many features as are in flight, each with what it wanted measured in its first round."""
    rows = database.rows(
        "SELECT feature, list(text ORDER BY id)[:?] FROM experiments WHERE run = ? "
        "GROUP BY feature ORDER BY feature LIMIT ?",
        [ROUND, RunStore(database).latest().name, IN_FLIGHT],
    )
    return [(feature, list(dict.fromkeys(texts))) for feature, texts in rows]


def _batching(subject: LoadedSubject, wanted: Sequence[tuple[int, list[str]]]) -> BenchRow:
    """Texts a second through the scheduler over those of one perfectly batched forward."""
    distinct = dict.fromkeys(text for _, texts in wanted for text in texts)
    windows = sorted((subject.tokenize(text) for text in distinct), key=len)
    best_plain = best_asked = float("inf")
    with open_database(":memory:", create=True) as database:
        for _ in range(REPEATS):
            with database.transaction() as connection:
                connection.execute("DELETE FROM measured_texts")
            scheduler = Scheduler(subject, MeasuredTexts(database))
            # Finds out how each length is run, for a feature that nobody asks for below.
            scheduler.activations(list(distinct), [_other(wanted)])
            for size in BATCHES:
                best_plain = min(best_plain, _seconds(lambda n=size: _forward(subject, windows, n)))
            best_asked = min(best_asked, _seconds(lambda by=scheduler: _ask_all(by, wanted)))
    name = f"experiments of {len(wanted)} features in flight / one perfectly batched forward"
    return BenchRow(name, best_plain / best_asked, 0.85, "ratio", more_is_better=True)


def _other(wanted: Sequence[tuple[int, list[str]]]) -> int:
    taken = {feature for feature, _ in wanted}
    return next(feature for feature in itertools.count() if feature not in taken)


def _forward(subject: LoadedSubject, windows: Sequence[list[int]], size: int) -> None:
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
    with open_database(":memory:", create=True) as database:
        scheduler = Scheduler(subject, MeasuredTexts(database))
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
