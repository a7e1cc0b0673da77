"""Texts of many features in one line: same bits in any company, and errors to who asked."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from graphs.storage import open_database
from tests.fakes import DEFAULT_FEATURES, FakeSubject, fake_corpus
from tests.subjects import TEXTS, make_model_dir, make_sae_dir
from tools.activations import Subject, TextActivations
from tools.database import Database
from tools.errors import ActivationNotFinite, EmptyText, FeatureOutOfRange, TextTooLong
from tools.scheduling.measured_texts import ROWS_TOGETHER, MeasuredTexts
from tools.scheduling.scheduler import Scheduler
from tools.scheduling.shapes import FIXED_TEXTS, Shapes
from tools.subject import SaeSource, SubjectSpec, load_subject

TOLERANCE = 1e-5
"""Of the largest activation: how far a pass of another shape may be off."""

WORDS = ("red", "green", "blue", "cat", "dog", "return", "London", "7", "the", ".", ",", "None")


@pytest.fixture
def database() -> Iterator[Database]:
    with open_database(":memory:", create=True) as opened:
        yield opened


def some_texts(n: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 9))) for _ in range(n)]


def together(scheduler: Scheduler, asked: Sequence[tuple[list[str], list[int]]]) -> list[Any]:
    """What each of the requests gets when all are made at once."""
    barrier = threading.Barrier(len(asked))

    def ask(request: tuple[list[str], list[int]]) -> Any:
        barrier.wait(timeout=10)
        try:
            return scheduler.activations(*request)
        except Exception as error:  # noqa: BLE001  (Compared by the test.)
            return error

    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(ask, asked))


def assert_same_bits(one: Sequence[TextActivations], other: Sequence[TextActivations]) -> None:
    for mine, yours in zip(one, other, strict=True):
        assert (mine.text, mine.token_ids, mine.tokens) == (
            yours.text,
            yours.token_ids,
            yours.tokens,
        )
        assert mine.activations.dtype == yours.activations.dtype == np.float32
        np.testing.assert_array_equal(mine.activations, yours.activations)


def n_waiting(scheduler: Scheduler) -> int:
    time.sleep(0.001)
    return sum(map(len, scheduler._jobs.values()))  # pyright: ignore[reportPrivateUsage]


class Watched:
    """A subject whose passes are kept: the texts and features of each."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.passes: list[tuple[list[str], list[int]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subject, name)

    def activations(self, texts: Sequence[str], features: Sequence[int]) -> list[TextActivations]:
        self.passes.append((list(texts), list(features)))
        return self._subject.activations(texts, features)


@pytest.mark.parametrize(
    ("model", "sae"),
    [
        ("gpt2", "standard"),
        ("gpt2", "topk"),
        ("llama", "jumprelu"),
        pytest.param("gpt2", "gated", marks=pytest.mark.slow),
        pytest.param("gemma2", "standard", marks=pytest.mark.slow),
    ],
)
def test_company_changes_no_bit(database: Database, tmp_path: Path, model: str, sae: str) -> None:
    make_model_dir(tmp_path / "model", model)
    make_sae_dir(tmp_path / "sae", architecture=sae)
    spec = SubjectSpec(str(tmp_path / "model"), SaeSource(path=str(tmp_path / "sae")))
    subject = load_subject(spec)
    asked = [([*some_texts(7, seed), *TEXTS], [seed, 40 - seed]) for seed in range(16)]
    alone = Scheduler(subject, MeasuredTexts(database))
    expected = [alone.activations(texts, features) for texts, features in asked]
    watched: Any = Watched(subject)
    for _ in range(3):
        # Books of its own each time, or everything would be known already.
        with open_database(":memory:", create=True) as empty:
            found = together(Scheduler(watched, MeasuredTexts(empty)), asked)
        for mine, yours in zip(found, expected, strict=True):
            assert_same_bits(mine, yours)
    assert max(len(set(features)) for _, features in watched.passes) > 2
    for (texts, features), mine in zip(asked, expected, strict=True):
        for plain, each in zip(subject.activations(texts, features), mine, strict=True):
            scale = max(1.0, float(plain.activations.max()))
            np.testing.assert_allclose(
                each.activations, plain.activations, atol=TOLERANCE * scale, rtol=0
            )
    assert any(each.activations.any() for mine in expected for each in mine)


class Rounding(FakeSubject):
    """A subject with rounding errors that depend on the pass, as `error` says."""

    def __init__(self, error: Callable[[int, int, int], int]) -> None:
        self.error = error
        super().__init__()

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        found = super().encode_windows(windows, features)
        return [
            each * np.float32(1 + 1e-6 * (self.error(len(windows), len(features), place) % 7))
            for place, each in enumerate(found)
        ]


@pytest.mark.parametrize(
    ("error", "fixed"),
    [
        (lambda rows, columns, place: 0, None),
        (lambda rows, columns, place: rows, FIXED_TEXTS),
        (lambda rows, columns, place: columns, FIXED_TEXTS),
        (lambda rows, columns, place: place, 1),
    ],
    ids=["exact", "by rows", "by columns", "by place"],
)
def test_a_subject_that_rounds_by_shape_is_run_in_one_shape(
    database: Database, error: Any, fixed: int | None
) -> None:
    subject = Rounding(error)
    assert {Shapes(subject).of(n).fixed for n in (1, 5, 20)} == {fixed}
    asked = [(some_texts(6, seed), [seed % 8]) for seed in range(12)]
    scheduler = Scheduler(subject, MeasuredTexts(database))
    expected = [scheduler.activations(*request) for request in asked]
    with open_database(":memory:", create=True) as empty:
        found = together(Scheduler(subject, MeasuredTexts(empty)), asked)
    for mine, yours in zip(found, expected, strict=True):
        assert_same_bits(mine, yours)


class ByLongest(FakeSubject):
    """A subject with rounding errors that depend on the longest text of a pass."""

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        error = np.float32(1 + 1e-6 * (max(map(len, windows)) % 7))
        return [each * error for each in super().encode_windows(windows, features)]


@pytest.mark.parametrize(("kind", "lengths"), [(FakeSubject, 4), (ByLongest, 1)])
def test_lengths_share_a_pass_only_where_that_changes_no_bit(
    database: Database, kind: type[FakeSubject], lengths: int
) -> None:
    watched: Any = Watched(kind())
    shapes = Shapes(watched)
    for n_tokens in (6, 11, 30):
        shape = shapes.of(n_tokens)
        assert shape.takes(n_tokens)
        assert shape.longest - shape.shortest + 1 == lengths
        assert all(shapes.of(n) == shape for n in range(shape.shortest, shape.longest + 1))
    asked = [(some_texts(6, seed), [seed % 8]) for seed in range(12)]
    scheduler = Scheduler(watched, MeasuredTexts(database))
    found = together(scheduler, asked)
    for mine, (texts, features) in zip(found, asked, strict=True):
        # One by one, in nobody's company.
        assert_same_bits(mine, [kind().activations([text], features)[0] for text in texts])
    mixed = [len({len(kind().tokenize(text)) for text in texts}) for texts, _ in watched.passes]
    assert (max(mixed) > 1) == (lengths > 1)


def test_what_waits_behind_a_pass_is_run_together(database: Database) -> None:
    class Slow(FakeSubject):
        def activations(self, texts: Any, features: Any) -> Any:
            if "dog dog dog dog" in texts:
                first_runs.set()
                assert all_wait.wait(timeout=10)
            return super().activations(texts, features)

    first_runs, all_wait = threading.Event(), threading.Event()
    watched: Any = Watched(Slow())
    scheduler = Scheduler(watched, MeasuredTexts(database))
    asked = [([f"{color} cat", "the tree"], [n]) for n, color in enumerate(("red", "green"))]
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(scheduler.activations, ["dog dog dog dog"], [0])
        assert first_runs.wait(timeout=10)
        others = [pool.submit(scheduler.activations, *request) for request in asked]
        while n_waiting(scheduler) < 4:
            pass
        all_wait.set()
        assert len(first.result(timeout=10)) == 1
        assert [len(other.result(timeout=10)) for other in others] == [2, 2]
    texts, features = watched.passes[1]
    assert len(watched.passes) == 2
    assert set(texts) == {"red cat", "green cat", "the tree"}
    assert set(features) == {0, 1}


def test_a_text_is_measured_once_in_all_runs(tmp_path: Path) -> None:
    path, texts = str(tmp_path / "a.duckdb"), some_texts(ROWS_TOGETHER // 2)
    watched: Any = Watched(FakeSubject())
    with open_database(path, create=True) as database:
        measured = MeasuredTexts(database)
        first = Scheduler(watched, measured).activations([*texts, *texts], [1, 6])
        n_passes = len(watched.passes)
        assert_same_bits(first, Scheduler(watched, measured).activations([*texts, *texts], [1, 6]))
        measured.close()
        ((n_rows, n_bytes),) = database.rows(
            "SELECT count(*), sum(octet_length(activations)) FROM measured_texts"
        )
        assert n_rows == 2 * len(set(texts))
        assert n_bytes / n_rows < 16
    with open_database(path, create=False) as database:
        scheduler = Scheduler(watched, MeasuredTexts(database))
        # Any of the features that were measured, in any order.
        assert_same_bits(
            scheduler.activations(texts, [6]),
            [_column(each, 1) for each in first[: len(texts)]],
        )
        assert len(watched.passes) == n_passes
        scheduler.activations(texts[:1], [2])
        assert len(watched.passes) == n_passes + 1
        other: Any = Watched(FakeSubject(DEFAULT_FEATURES[:3]))
        Scheduler(other, MeasuredTexts(database)).activations(texts[:1], [1])
        assert len(other.passes) == 1


def _column(measured: TextActivations, column: int) -> TextActivations:
    return TextActivations(
        measured.text,
        measured.token_ids,
        measured.tokens,
        measured.activations[:, [column]],
    )


def test_texts_with_tokens_left_out_keep_their_tokens(database: Database) -> None:
    class WithoutCommas(FakeSubject):
        def activations(self, texts: Any, features: Any) -> Any:
            found = super().activations(texts, features)
            return [self._shown(each) for each in found]

        def _shown(self, each: TextActivations) -> TextActivations:
            shown = [place for place, token in enumerate(each.tokens) if token.strip() != ","]
            return TextActivations(
                each.text,
                tuple(each.token_ids[place] for place in shown),
                tuple(each.tokens[place] for place in shown),
                each.activations[shown],
            )

    scheduler = Scheduler(WithoutCommas(), MeasuredTexts(database))
    first = scheduler.activations(["red , cat", "red cat"], [5])
    assert first[0].tokens == ("red", " ", " cat")
    assert_same_bits(scheduler.activations(["red , cat", "red cat"], [5]), first)


def test_an_error_goes_to_the_one_who_asked(database: Database) -> None:
    class Broken(FakeSubject):
        def encode_windows(self, windows: Any, features: Any) -> Any:
            if 2 in features:
                raise ActivationNotFinite("NaN at feature 2", 2)
            if 4 in features and on[0]:
                raise ZeroDivisionError("a bug")
            return super().encode_windows(windows, features)

    on = [False]
    scheduler = Scheduler(Broken(), MeasuredTexts(database))
    scheduler.activations(["red"], [0])
    on[0] = True
    good = [(["red cat", "green cat", "None"], [feature]) for feature in (0, 1, 6, 7)]
    bad: list[tuple[tuple[list[str], list[int]], type[Exception]]] = [
        ((["red cat", "blue cat"], [2]), ActivationNotFinite),
        ((["red cat", "blue cat"], [4]), ZeroDivisionError),
        ((["red cat"], [8]), FeatureOutOfRange),
        ((["red cat", "cat " * 40], [3]), TextTooLong),
        ((["red cat", ""], [3]), EmptyText),
    ]
    found = together(scheduler, [*good, *(request for request, _ in bad)])
    for (texts, features), mine in zip(good, found, strict=False):
        assert_same_bits(mine, FakeSubject().activations(texts, features))
    assert [type(error) for error in found[len(good) :]] == [kind for _, kind in bad]
    assert_same_bits(
        scheduler.activations(["blue cat"], [1]), FakeSubject().activations(["blue cat"], [1])
    )


def test_an_interrupt_reaches_who_asked_and_stops_no_lane(database: Database) -> None:
    class Interrupted(FakeSubject):
        def activations(self, texts: Any, features: Any) -> Any:
            if features[0] == 0 and len(set(texts)) == 1:
                first_runs.set()
                assert all_wait.wait(timeout=10)
                raise KeyboardInterrupt
            return super().activations(texts, features)

    first_runs, all_wait = threading.Event(), threading.Event()
    scheduler = Scheduler(Interrupted(), MeasuredTexts(database))
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(scheduler.activations, ["red cat"], [0])
        assert first_runs.wait(timeout=10)
        others = [pool.submit(scheduler.activations, ["the dog"], [n]) for n in (1, 2)]
        while n_waiting(scheduler) < 2:
            pass
        all_wait.set()
        assert isinstance(first.exception(timeout=10), KeyboardInterrupt)
        assert [len(other.result(timeout=10)) for other in others] == [1, 1]
    assert len(scheduler.activations(["the dog"], [5])) == 1


def test_many_threads_for_long_lose_nothing(database: Database) -> None:
    texts = list(dict.fromkeys(text[:30] for text in fake_corpus(n_documents=200)))
    scheduler = Scheduler(FakeSubject(), MeasuredTexts(database))
    reference = FakeSubject()
    asked = [(texts[n : n + 3], [n % 8]) for n in range(len(texts) - 3)]
    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(lambda request: scheduler.activations(*request), asked))
    for request, mine in zip(asked, found, strict=True):
        assert_same_bits(mine, reference.activations(*request))
