"""The corpus for scoring: the run's own sample, each token measured once, no feature lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.measuring import MeasuredCorpus, held_out_sample, measure
from graphs.config import parse_config
from graphs.run import corpus_spec
from graphs.runs import Run, RunStore
from graphs.storage import open_database
from tests.fakes import DEFAULT_FEATURES, FakeSubject, Planted, fake_corpus
from tools.database import Database
from tools.errors import ActivationNotFinite, CorpusChanged, NothingToScore, SubjectChanged
from tools.harvest.collection import collect_exemplars
from tools.harvest.features import FeatureRequest
from tools.harvest.sampling import CorpusSample, Window, sample_corpus
from tools.harvest.store import ExemplarStore

FEATURES = [0, 1, 3, 4, 5]
DEAD = 3


class Watching(FakeSubject):
    """Notes every window that it is shown, and cannot measure some features."""

    def __init__(self, *broken: int | None) -> None:
        super().__init__()
        self.broken = broken
        self.windows: list[tuple[int, ...]] = []

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        for feature in self.broken:
            if feature is None or feature in features:
                raise ActivationNotFinite(f"NaN at {feature}", feature)
        self.windows += [tuple(window) for window in windows]
        return super().encode_windows(windows, features)


def write(path: Path, texts: Sequence[str]) -> None:
    path.write_text("\n\n\n".join(texts))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    write(path, fake_corpus(n_documents=30))
    return path


@pytest.fixture
def sample(corpus: Path, tmp_path: Path) -> CorpusSample:
    with open_database(str(tmp_path / "sample.duckdb"), create=True) as database:
        run = begun(database, corpus)
        return held_out_sample(database, run, FakeSubject())


def begun(database: Database, corpus: Path) -> Run:
    """A run whose corpus is harvested and that has explained nothing."""
    config = parse_config(
        {
            "subject": {"model": "m", "sae": {"path": "s"}},
            "corpus": {"source": str(corpus), "max_tokens": 6000},
            "features": FEATURES,
            "seed": 3,
        }
    )
    run, spec = RunStore(database).open(config), corpus_spec(config.corpus)
    request = FeatureRequest(tuple(FEATURES))
    found = collect_exemplars(FakeSubject(), spec, request, 3, ExemplarStore(database))
    RunStore(database).plan(run, found.features, found.harvest)
    return run


def test_the_sample_is_the_one_that_the_run_harvested(corpus: Path, tmp_path: Path) -> None:
    with open_database(str(tmp_path / "run.duckdb"), create=True) as database:
        run = begun(database, corpus)
        # The same text in a file written anew is the same corpus.
        write(corpus, fake_corpus(n_documents=30))
        found = held_out_sample(database, run, FakeSubject())
        spec = corpus_spec(run.config.corpus)
        assert found == sample_corpus(FakeSubject(), spec, 3)
        assert found != sample_corpus(FakeSubject(), spec, 4)
        assert database.rows("SELECT sample FROM harvests") == [(found.fingerprint,)]


def test_another_subject_or_corpus_is_refused(corpus: Path, tmp_path: Path) -> None:
    with open_database(str(tmp_path / "run.duckdb"), create=True) as database:
        run = begun(database, corpus)
        other = FakeSubject((*DEFAULT_FEATURES[:-1], Planted("new", lambda tokens: [0.0])))
        with pytest.raises(SubjectChanged, match="another model or SAE.*explain --new"):
            held_out_sample(database, run, other)
        texts = fake_corpus(n_documents=30)
        write(corpus, [*texts[:-1], texts[-1] + " red"])
        with pytest.raises(CorpusChanged, match="Bring the old corpus back.*explain --new"):
            held_out_sample(database, run, FakeSubject())


def test_a_run_without_a_harvest_has_nothing_to_score(corpus: Path, tmp_path: Path) -> None:
    with open_database(str(tmp_path / "run.duckdb"), create=True) as database:
        config = begun(database, corpus).config
        run = RunStore(database).open(config, new=True)
        with pytest.raises(NothingToScore, match="saesage resume"):
            held_out_sample(database, run, FakeSubject())


def check_against_reference(
    measured: MeasuredCorpus, sample: CorpusSample, features: Sequence[int]
) -> None:
    """Every token of every window, against a dense reference measured window by window."""
    reference = FakeSubject()
    for split in ("propose", "evaluate"):
        windows = [window for window in sample.windows if window.split == split]
        text = measured.text(split)
        assert text.token_ids == tuple(window.token_ids for window in windows)
        surfaces = [tuple(reference.surfaces(window.token_ids)) for window in windows]
        assert list(text.tokens) == surfaces
        for feature in features:
            found = measured.feature(split, feature)
            assert found.text is text
            assert found.activations.dtype == np.float32
            for index, window in enumerate(windows):
                (dense,) = reference.encode_windows([window.token_ids], [feature])
                np.testing.assert_array_equal(found.window(index), dense[:, 0])


def test_every_token_of_two_splits_is_measured_once(sample: CorpusSample) -> None:
    subject = Watching()
    heard: list[tuple[int, int]] = []
    measured = measure(subject, sample, FEATURES, lambda done, total: heard.append((done, total)))
    check_against_reference(measured, sample, FEATURES)
    wanted = [w.token_ids for w in sample.windows if w.split in ("propose", "evaluate")]
    assert sorted(subject.windows) == sorted(wanted)
    tested = {window.token_ids for window in sample.windows if window.split == "test"}
    assert tested
    assert not tested & set(subject.windows)
    n_tokens = sum(map(len, wanted))
    assert heard[-1] == (n_tokens, n_tokens)
    assert not measured.feature("evaluate", DEAD).activations.any()
    assert len(measured.feature("evaluate", DEAD).firing) == 0
    assert measured.feature("evaluate", 0).activations.any()


def test_a_feature_that_cannot_be_measured_does_not_lose_the_others(sample: CorpusSample) -> None:
    measured = measure(Watching(1, 5), sample, FEATURES)
    assert {f: str(e) for f, e in measured.failures.items()} == {1: "NaN at 1", 5: "NaN at 5"}
    check_against_reference(measured, sample, [0, 3, 4])
    with pytest.raises(ActivationNotFinite, match="NaN at 5"):
        measured.feature("propose", 5)


def test_it_is_no_error_of_the_batch_if_no_feature_can_be_measured(sample: CorpusSample) -> None:
    measured = measure(Watching(0, 1), sample, [0, 1, 0])
    assert set(measured.failures) == {0, 1}
    assert len(measured.text("evaluate").tokens) > 0
    with pytest.raises(ActivationNotFinite, match="NaN at None"):
        measure(Watching(None), sample, [0, 1])


def test_a_split_without_windows_is_empty() -> None:
    windows = (Window("a", "propose", 0, (65, 66)), Window("b", "test", 0, (67,)))
    measured = measure(FakeSubject(), CorpusSample(windows, 32, 0, "f"), [5])
    assert measured.feature("propose", 5).activations.tolist() == [0.5, 0.5]
    assert len(measured.feature("evaluate", 5).activations) == 0
    assert measured.text("evaluate").tokens == ()
