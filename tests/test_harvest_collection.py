"""A collection goes on after a kill, leaves no folder behind, and survives odd corpora."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import FakeSubject, fake_corpus
from tools.corpus import CorpusSpec
from tools.database import Database, initialise
from tools.errors import ActivationNotFinite
from tools.harvest.collection import Collection, collect_exemplars
from tools.harvest.features import parse_features
from tools.harvest.harvest import harvest
from tools.harvest.sampling import sample_corpus
from tools.harvest.schema import EXEMPLAR_DDL
from tools.harvest.store import ExemplarStore
from tools.harvest.unfinished import UnfinishedHarvest


@pytest.fixture
def database(tmp_path: Path) -> Generator[Database]:
    with Database.open(tmp_path / "runs.duckdb") as opened:
        initialise(opened, EXEMPLAR_DDL)
        yield opened


@pytest.fixture
def spec(tmp_path: Path) -> CorpusSpec:
    path = tmp_path / "corpus.txt"
    path.write_text("\n\n\n".join(fake_corpus(60)))
    return CorpusSpec(str(path))


class Flaky(FakeSubject):
    """Stops at a batch, and gives NaN on some features."""

    stop_after: int | None = None
    broken: frozenset[int] = frozenset()

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        if self.forward_passes == self.stop_after:
            raise KeyboardInterrupt
        for feature in self.broken & set(features):
            raise ActivationNotFinite(f"NaN at feature {feature}", feature)
        return super().encode_windows(windows, features)


def collect(
    subject: FakeSubject, spec: CorpusSpec, database: Database, features: str
) -> Collection:
    request = parse_features(features, subject.info.n_features)
    store = ExemplarStore(database)
    return collect_exemplars(subject, spec, request, 0, store, memory_gib=0.001)


def folder_of(database: Database) -> Path:
    return Path(f"{database.path}.harvest")


def test_a_killed_collection_goes_on(
    spec: CorpusSpec, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.harvest.batch_size.BATCH_TOKENS", 256)
    whole = FakeSubject()
    expected = harvest(whole, sample_corpus(whole, spec, 0), range(8), block_tokens=2_048)
    stopped = Flaky()
    stopped.stop_after = whole.forward_passes - 1
    with pytest.raises(KeyboardInterrupt):
        collect(stopped, spec, database, "0-7")
    kept = list(folder_of(database).rglob("*.safetensors"))
    assert kept
    strange = folder_of(database) / "another key" / "pass"
    strange.mkdir(parents=True)
    again = FakeSubject()
    collected = collect(again, spec, database, "0-7")
    assert 0 < again.forward_passes < whole.forward_passes
    assert not folder_of(database).exists(), "stored: nothing is left beside the database"
    source = ExemplarStore(database).source(collected.harvest)
    for feature in range(8):
        assert source.statistics(feature) == expected.statistics(feature)
        found, wanted = source.exemplars(feature, "test"), expected.exemplars(feature, "test")
        assert [(e.id, e.token_ids) for e in found] == [(e.id, e.token_ids) for e in wanted]


def test_another_harvests_folder_is_deleted(tmp_path: Path) -> None:
    database = str(tmp_path / "runs.duckdb")
    old = UnfinishedHarvest(database, "old").of_pass("sample", [1], 10)
    assert old is not None
    old.mkdir(parents=True)
    mine = UnfinishedHarvest(database, "new")
    first, second = mine.of_pass("sample", [1], 10), mine.of_pass("sample", [1, 2], 10)
    assert first is not None
    assert second is not None
    assert first != second
    assert not old.parent.exists()
    first.mkdir(parents=True)
    assert UnfinishedHarvest(database, "new").of_pass("sample", [1], 10) == first
    assert first.exists()
    mine.clear()
    assert not first.exists()
    assert UnfinishedHarvest(":memory:", "new").of_pass("sample", [1], 10) is None


def test_a_bad_feature_fails_and_the_others_are_stored_in_one_pass(
    spec: CorpusSpec, database: Database
) -> None:
    whole = FakeSubject()
    harvest(whole, sample_corpus(whole, spec, 0), range(8), block_tokens=2_048)
    subject = Flaky()
    subject.broken = frozenset({2, 6})
    collected = collect(subject, spec, database, "0-7")
    assert subject.forward_passes <= whole.forward_passes + 8
    assert set(collected.failures) == {2, 6}
    assert ExemplarStore(database).missing(collected.harvest, range(8)) == (2, 6)


def test_one_long_document_and_very_many_short_ones(tmp_path: Path, database: Database) -> None:
    """What is run is what the token budget allows, however the text is divided."""
    random = np.random.default_rng(0)
    words = [text.replace("\n", " ") for text in fake_corpus(200)]
    short = [f"{random.integers(0, 10**9):09d}" for _ in range(20_000)]
    for name, documents in (("long", [" ".join(words * 20), *words[:9]]), ("short", short)):
        path = tmp_path / f"{name}.txt"
        path.write_text("\n\n".join(documents))
        subject = FakeSubject()
        spec = CorpusSpec(str(path), max_tokens=8_000)
        collected = collect(subject, spec, database, "0-7")
        statistics = ExemplarStore(database).source(collected.harvest).statistics(1)
        assert 4_000 < statistics.n_tokens <= 8_000
        assert subject.forward_passes < 100
