"""Harvests survive the database unchanged, are measured once, and random features are alive."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes import DEFAULT_FEATURES, FakeSubject, Planted, fake_corpus, on_tokens
from tools.corpus import CorpusSpec
from tools.database import Database, initialise
from tools.errors import ConfigError, CorpusError, FeatureOutOfRange, RunNotFound
from tools.exemplars import KEPT_SPLITS, Exemplar, TokenStatistic
from tools.harvest.collection import Collection, collect_exemplars
from tools.harvest.features import parse_features, resolve_features
from tools.harvest.harvest import Harvest, harvest
from tools.harvest.kept import KeptFeatures
from tools.harvest.sampling import sample_corpus
from tools.harvest.schema import EXEMPLAR_DDL
from tools.harvest.store import ExemplarStore, identify_harvest


@pytest.fixture
def spec(tmp_path: Path) -> CorpusSpec:
    path = tmp_path / "corpus.txt"
    path.write_text("\n\n\n".join(fake_corpus(40)))
    return CorpusSpec(str(path))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "run.duckdb") as database:
        initialise(database, EXEMPLAR_DDL)
        yield database


def collect(
    subject: FakeSubject, spec: CorpusSpec, database: Database, features: str, seed: int = 0
) -> Collection:
    request = parse_features(features, subject.info.n_features)
    return collect_exemplars(subject, spec, request, seed, ExemplarStore(database))


def same(left: Exemplar, right: Exemplar) -> bool:
    plain = [
        [getattr(item, name) for name in Exemplar.__slots__ if name != "activations"]
        for item in (left, right)
    ]
    return plain[0] == plain[1] and np.array_equal(left.activations, right.activations)


def single(row: TokenStatistic) -> TokenStatistic:
    """The row in the precision that is stored: that of the activations themselves."""
    share: Any = pytest.approx(row.share, rel=1e-6)
    return replace(row, mean_activation=float(np.float32(row.mean_activation)), share=share)


# The store


def test_what_is_read_is_what_was_harvested(spec: CorpusSpec, database: Database) -> None:
    subject = FakeSubject()
    collected = collect(subject, spec, database, "0-7")
    expected = harvest(subject, sample_corpus(subject, spec, seed=0), range(8))
    source = ExemplarStore(database).source(collected.harvest)
    for feature in range(8):
        assert source.statistics(feature) == expected.statistics(feature)
        assert source.token_table(feature) == [single(row) for row in expected.token_table(feature)]
        stored_census, census = source.census(feature), expected.census(feature)
        for name in ("tokens", "documents", "positions", "n_proposed"):
            assert getattr(stored_census.text, name) == getattr(census.text, name)
        assert stored_census.n_windows == census.n_windows
        for name in ("places", "levels"):
            mine, theirs = getattr(stored_census, name), getattr(census, name)
            assert mine.dtype == theirs.dtype
            assert (mine == theirs).all()
        for split in KEPT_SPLITS:
            stored, made = source.exemplars(feature, split), expected.exemplars(feature, split)
            assert len(stored) == len(made)
            assert all(same(*pair) for pair in zip(stored, made, strict=True))
            assert all(item.activations.dtype == np.float32 for item in stored)
    assert source.exemplars(0, "test")
    [harvest_row] = database.records("SELECT * FROM harvests")
    assert harvest_row["subject"] == subject.info.fingerprint
    assert harvest_row["n_tokens"] == source.statistics(0).n_tokens


def test_sql_sees_one_row_for_each_exemplar_and_each_token(
    spec: CorpusSpec, database: Database
) -> None:
    source = ExemplarStore(database).source(collect(FakeSubject(), spec, database, "0-7").harvest)
    stored = [
        item for f in range(8) for split in KEPT_SPLITS for item in source.exemplars(f, split)
    ]
    records = database.array_records("SELECT * EXCLUDE (harvest) FROM exemplars")
    by_id = {(record["feature"], record["id"]): record for record in records}
    assert len(by_id) == len(records) == len(stored) > 300
    for item in stored:
        record = by_id[item.feature, item.id]
        lists: dict[str, Any] = {
            name: tuple(record[name].tolist()) for name in ("token_ids", "tokens")
        }
        assert same(Exemplar(**(record | lists)), item)
        assert record["activations"].dtype == np.float32
    rows = database.rows("SELECT * EXCLUDE (harvest) FROM token_statistics ORDER BY feature, rank")
    assert rows == [
        (feature, rank, *astuple(row))
        for feature in range(8)
        for rank, row in enumerate(source.token_table(feature), start=1)
    ]


def test_a_window_is_stored_once_however_many_features_it_is_an_exemplar_of(
    spec: CorpusSpec, database: Database
) -> None:
    for features in ("0-3", "2-7"):
        collect(FakeSubject(), spec, database, features)
    n_windows = database.rows("SELECT n_windows FROM harvests")[0][0]
    numbers = sorted(database.rows("SELECT number FROM harvest_windows"))
    assert numbers == sorted(set(numbers))
    assert 0 < len(numbers) <= n_windows
    [(referred,)] = database.rows("SELECT sum(len(windows)) FROM feature_exemplars")
    assert referred > 3 * len(numbers)
    twice = "SELECT token_id FROM harvest_tokens GROUP BY 1 HAVING count(*) > 1"
    assert database.rows(twice) == []


def test_other_text_under_the_same_name_is_refused(spec: CorpusSpec, database: Database) -> None:
    subject, store = FakeSubject(), ExemplarStore(database)
    identity = identify_harvest(subject.info, spec, subject.window_size, 0)
    sample = sample_corpus(subject, spec, seed=0)
    store.save(identity, harvest(subject, sample, [0]), [0])
    shorter = replace(sample, windows=sample.windows[:-1], fingerprint="other")
    with pytest.raises(CorpusError, match="gives other text.*another database file"):
        store.save(identity, harvest(subject, shorter, [1]), [1])
    assert store.missing(identity.key, [0, 1]) == (1,)


def test_nothing_is_measured_twice(spec: CorpusSpec, database: Database) -> None:
    subject = FakeSubject()
    first = collect(subject, spec, database, "0,1,random:2")
    passes = subject.forward_passes
    assert collect(subject, spec, database, "0,1,random:2") == first
    assert subject.forward_passes == passes
    more = collect(subject, spec, database, "0-4")
    assert more.harvest == first.harvest
    assert subject.forward_passes > passes
    tables = {"harvests": 1, "feature_statistics": len({*first.features, *more.features})}
    for table, count in tables.items():
        assert database.rows(f"SELECT count(*) FROM {table}") == [(count,)]
    twice = "SELECT feature, id FROM exemplars GROUP BY ALL HAVING count(*) > 1"
    assert database.rows(twice) == []
    assert database.rows("SELECT feature FROM feature_firings GROUP BY 1 HAVING count(*) > 1") == []


def test_named_and_random_features_share_one_pass(spec: CorpusSpec, database: Database) -> None:
    subject = FakeSubject()
    collect(subject, spec, database, "0")
    once = subject.forward_passes
    collect(subject, spec, database, "1,random:3", seed=1)
    assert subject.forward_passes == 2 * once


def test_an_interrupted_save_leaves_nothing(
    spec: CorpusSpec, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Harvest.kept

    def stops_at_five(self: Harvest, features: Sequence[int]) -> Iterator[KeptFeatures]:
        for some in kept(self, features):
            if 5 in some.features:
                raise KeyboardInterrupt
            yield some

    monkeypatch.setattr("tools.harvest.harvest.features_at_once", lambda layout: 2)
    monkeypatch.setattr(Harvest, "kept", stops_at_five)
    with pytest.raises(KeyboardInterrupt):
        collect(FakeSubject(), spec, database, "0-7")
    for table in (
        "harvests",
        "exemplars",
        "harvest_windows",
        "feature_statistics",
        "feature_firings",
    ):
        assert database.rows(f"SELECT count(*) FROM {table}") == [(0,)]
    monkeypatch.setattr(Harvest, "kept", kept)
    collected = collect(FakeSubject(), spec, database, "0-7")
    assert ExemplarStore(database).missing(collected.harvest, [9, 3, 9]) == (9,)


def test_a_feature_that_is_not_stored_is_named(spec: CorpusSpec, database: Database) -> None:
    collected = collect(FakeSubject(), spec, database, "0")
    with pytest.raises(RunNotFound, match="no exemplars of feature 1"):
        ExemplarStore(database).source(collected.harvest).statistics(1)


def test_the_key_changes_with_all_that_matters(spec: CorpusSpec) -> None:
    assert isinstance(spec.source, str)
    info = FakeSubject().info
    other_info = FakeSubject(DEFAULT_FEATURES[:2]).info
    keys = [
        identify_harvest(info, spec, 32, 0).key,
        identify_harvest(other_info, spec, 32, 0).key,
        identify_harvest(info, CorpusSpec(spec.source, max_tokens=1_000), 32, 0).key,
        identify_harvest(info, spec, 16, 0).key,
        identify_harvest(info, spec, 32, 1).key,
    ]
    assert identify_harvest(info, spec, 32, 0).key == keys[0]
    Path(spec.source).write_text("another text")
    keys.append(identify_harvest(info, spec, 32, 0).key)
    os.utime(spec.source, ns=(1, 1))
    keys.append(identify_harvest(info, spec, 32, 0).key)
    assert len(set(keys)) == len(keys)


# Features


def request(spec: object, n_features: int = 200) -> tuple[object, ...]:
    return parse_features(spec, n_features).slots  # type: ignore[arg-type]


def test_feature_specs() -> None:
    assert request([3, 17, "100-102", "random:2", 17, 4]) == (
        *(3, 17, 100, 101, 102),
        *("random", "random", 4),
    )
    assert request("3, 17,100 - 102,random:2,3") == (3, 17, 100, 101, 102, "random", "random")
    assert request(7) == (7,)
    assert request(["5,6", "random:1", "random:1"]) == (5, 6, "random", "random")


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("three", ConfigError, "'three' is neither an id"),
        (["-3"], ConfigError, "neither an id"),
        ("random", ConfigError, "neither an id"),
        ([True], ConfigError, "neither an id"),
        ("", ConfigError, "No features are asked for"),
        ("random:0", ConfigError, "No features are asked for"),
        ("9-4", ConfigError, "did you mean 4-9"),
        ("200", FeatureOutOfRange, "asks for feature 200; the SAE has 200, numbered 0 to 199"),
        ("190-1000000000", FeatureOutOfRange, "the SAE has 200"),
        ("random:1000000000", FeatureOutOfRange, "Ask for fewer"),
    ],
)
def test_bad_feature_specs(spec: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        request(spec)


def test_random_features_are_alive_and_do_not_depend_on_chunks() -> None:
    asked: list[Sequence[int]] = []

    def count_firings(features: Sequence[int]) -> dict[int, int]:
        asked.append(features)
        return {feature: int(feature % 40 == 0) for feature in features}

    drawn = resolve_features(parse_features("80,random:4,1", 1_000), 1_000, 0, count_firings)
    assert len(asked) > 1  # one in forty is alive: one chunk is not enough
    assert asked[0][:2] == [80, 1]
    assert len(set(drawn)) == len(drawn) == 6
    assert (drawn[0], drawn[-1]) == (80, 1)
    assert all(feature % 40 == 0 for feature in drawn[:-1])
    order = np.random.default_rng(0).permutation(1_000).tolist()
    alive = [feature for feature in order if feature % 40 == 0 and feature != 80]
    assert list(drawn[1:-1]) == alive[:4]
    again = resolve_features(parse_features("80,random:9,1", 1_000), 1_000, 0, count_firings)
    assert again[:5] == drawn[:5]


def test_too_few_alive_features_is_an_error(spec: CorpusSpec, database: Database) -> None:
    dead = Planted("dead", lambda tokens: [0.0] * len(tokens))
    subject = FakeSubject([dead] * 30 + [on_tokens("cat", "cat")])
    assert collect(subject, spec, database, "random:1").features == (30,)
    with pytest.raises(ConfigError, match="only 1 of the 31 features.*raise corpus.max_tokens"):
        collect(subject, spec, database, "random:2")
