"""The one pass against a dense brute-force reference, on random matrices and planted features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import FakeSubject, fake_corpus
from tools.corpus import CorpusSpec
from tools.errors import ActivationNotFinite, FeatureOutOfRange
from tools.exemplars import BANDS, KEPT_SPLITS, SPLITS, Exemplar, Split
from tools.harvest.harvest import Harvest, harvest
from tools.harvest.sampling import CorpusSample, Window, sample_corpus
from tools.harvest.token_sums import TRIGGER_SHARE

N_FEATURES = 6
TOP, PER_QUARTER, PER_NEGATIVE = 10, 6, 16


class MatrixSubject(FakeSubject):
    """Activations are looked up in a table from token ids to a matrix."""

    def __init__(self, matrices: dict[tuple[int, ...], NDArray[np.float32]]) -> None:
        super().__init__(window_size=64)
        self.matrices = matrices

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        return [self.matrices[tuple(window)][:, list(features)] for window in windows]


def random_case(seed: int) -> tuple[MatrixSubject, CorpusSample]:
    """Windows of random length and tokens, with features from dead to dense, and many ties."""
    random = np.random.default_rng(seed)
    windows: list[Window] = []
    matrices: dict[tuple[int, ...], NDArray[np.float32]] = {}
    rates = np.array([0.0, 0.002, 0.02, 0.1, 0.5, 1.0]) ** (1 + seed % 2)
    for index in range(int(random.integers(8, 400))):
        size = int(random.integers(1, 20))
        ids = (index % 256, *random.integers(0, 40, size).tolist(), index // 256)
        values = random.integers(1, 9, (len(ids), N_FEATURES)) / 4
        fires = random.random((len(ids), N_FEATURES)) < rates
        matrices[ids] = np.where(fires, values, 0).astype(np.float32)
        split = SPLITS[int(random.integers(0, 3))]
        windows.append(Window(f"document {index}", split, index, ids))
    return MatrixSubject(matrices), CorpusSample(tuple(windows), 64, seed, "fingerprint")


def windows_of(sample: CorpusSample, split: Split) -> list[Window]:
    return [window for window in sample.windows if window.split == split]


def by_band(exemplars: Sequence[Exemplar]) -> dict[str, list[tuple[int, ...]]]:
    return {band: [e.token_ids for e in exemplars if e.band == band] for band in BANDS}


@pytest.mark.parametrize("seed", range(12))
def test_bands_equal_a_dense_reference(seed: int) -> None:
    subject, sample = random_case(seed)
    measured = harvest(subject, sample, range(N_FEATURES), batch_tokens=97)
    for feature in range(N_FEATURES):
        for split in KEPT_SPLITS:
            bands = by_band(measured.exemplars(feature, split))
            check_firing_bands(subject, sample, feature, split, bands)
            check_silent_bands(subject, sample, feature, split, bands, measured)


def check_firing_bands(
    subject: MatrixSubject,
    sample: CorpusSample,
    feature: int,
    split: Split,
    bands: dict[str, list[tuple[int, ...]]],
) -> None:
    maxima = {
        window.token_ids: subject.matrices[window.token_ids][:, feature].max()
        for window in windows_of(sample, split)
    }
    firing = sorted((ids for ids in maxima if maxima[ids] > 0), key=lambda ids: -maxima[ids])
    assert bands["top"] == firing[:TOP]
    rest = firing[TOP:]
    for quarter in range(4):
        inside = rest[len(rest) * quarter // 4 : len(rest) * (quarter + 1) // 4]
        chosen = bands[f"quantile_{4 - quarter}"]
        assert len(chosen) == len(set(chosen)) == min(PER_QUARTER, len(inside))
        assert [ids for ids in inside if ids in set(chosen)] == chosen  # strongest first


def check_silent_bands(
    subject: MatrixSubject,
    sample: CorpusSample,
    feature: int,
    split: Split,
    bands: dict[str, list[tuple[int, ...]]],
    measured: Harvest,
) -> None:
    silent = {
        window.token_ids
        for window in windows_of(sample, split)
        if not subject.matrices[window.token_ids][:, feature].any()
    }
    random, near = bands["random"], bands["near_miss"]
    assert len(set(random)) == len(random) == min(PER_NEGATIVE, len(silent))
    assert set(random) | set(near) <= silent
    assert set(random).isdisjoint(near)
    triggers: dict[int, float] = {}
    for row in measured.token_table(feature):
        if sum(triggers.values()) < TRIGGER_SHARE and len(triggers) < 32:
            triggers[row.token_id] = row.share
    scores = {
        ids: sum(share for token, share in triggers.items() if token in ids)
        for ids in silent - set(random)
    }
    expected = sorted((score for score in scores.values() if score > 0), reverse=True)
    assert [scores[ids] for ids in near] == pytest.approx(expected[:PER_NEGATIVE])


@pytest.mark.parametrize("seed", range(12))
def test_statistics_and_token_table_equal_a_dense_reference(seed: int) -> None:
    subject, sample = random_case(seed)
    measured = harvest(subject, sample, range(N_FEATURES))
    proposed = windows_of(sample, "propose")
    tokens = np.concatenate([window.token_ids for window in proposed])
    dense = np.concatenate([subject.matrices[window.token_ids] for window in proposed])
    everything = np.concatenate([subject.matrices[w.token_ids] for w in sample.windows])
    for feature in range(N_FEATURES):
        maxima = [subject.matrices[window.token_ids][:, feature].max() for window in proposed]
        statistics = measured.statistics(feature)
        assert statistics.n_tokens == sample.n_tokens == len(everything)
        assert statistics.n_active_tokens == (everything[:, feature] > 0).sum()
        assert statistics.n_active_windows == sum(value > 0 for value in maxima)
        assert statistics.max_activation == max(maxima)
        strongest = [value for value in sorted(maxima)[-TOP:] if value > 0]
        assert statistics.scale == pytest.approx(np.mean(strongest) if strongest else 0)
        values = dense[:, feature].astype(np.float64)
        table = measured.token_table(feature)
        assert {row.token_id for row in table} == set(tokens[values > 0].tolist())
        assert [row.share for row in table] == sorted((r.share for r in table), reverse=True)
        for row in table:
            present = tokens == row.token_id
            assert row.n_present == present.sum()
            assert row.n_active == (values[present] > 0).sum()
            assert row.mean_activation == pytest.approx(values[present].mean())
            assert row.share == pytest.approx(values[present].sum() / values.sum())


def test_every_exemplar_holds_what_was_measured() -> None:
    subject, sample = random_case(3)
    found = {window.token_ids: window for window in sample.windows}
    measured = harvest(subject, sample, range(N_FEATURES))
    for feature in range(N_FEATURES):
        exemplars = measured.measured(feature).exemplars
        assert len({exemplar.id for exemplar in exemplars}) == len(exemplars)
        for exemplar in exemplars:
            window = found[exemplar.token_ids]
            values = subject.matrices[exemplar.token_ids][:, feature]
            np.testing.assert_array_equal(exemplar.activations, values)
            assert exemplar.max_activation == values.max() == values[exemplar.peak]
            assert exemplar.tokens == tuple(subject.surfaces(exemplar.token_ids))
            assert (exemplar.document, exemplar.position) == (window.document, window.position)
            assert exemplar.split == window.split
            assert exemplar.id == f"{exemplar.split}/{exemplar.band}/{exemplar.rank}"


def exemplar_keys(measured: Harvest, feature: int) -> list[tuple[str, tuple[int, ...]]]:
    return [(item.id, item.token_ids) for item in measured.measured(feature).exemplars]


def test_a_feature_does_not_depend_on_the_others_or_on_batches() -> None:
    subject, sample = random_case(5)
    together = harvest(subject, sample, range(N_FEATURES), batch_tokens=31)
    joined = harvest(subject, sample, [4, 4]).with_firings_of(harvest(subject, sample, [2]))
    assert joined.features == (4, 2)
    for feature in (4, 2):
        assert exemplar_keys(together, feature) == exemplar_keys(joined, feature)
        assert together.statistics(feature) == joined.statistics(feature)


@pytest.mark.parametrize("changed", ["test", "evaluate"])
def test_no_split_influences_another(changed: Split) -> None:
    """Silencing one split changes nothing that the others' readers see, token counts aside."""
    subject, sample = random_case(4)
    before = harvest(subject, sample, range(N_FEATURES))
    for window in windows_of(sample, changed):
        subject.matrices[window.token_ids] = np.zeros_like(subject.matrices[window.token_ids])
    after = harvest(subject, sample, range(N_FEATURES))
    for feature in range(N_FEATURES):
        old, new = before.statistics(feature), after.statistics(feature)
        assert (old.scale, old.max_activation) == (new.scale, new.max_activation)
        assert before.token_table(feature) == after.token_table(feature)
        for split in set(KEPT_SPLITS) - {changed}:
            seen = [[e.token_ids for e in m.exemplars(feature, split)] for m in (before, after)]
            assert seen[0] == seen[1]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeSubject, CorpusSample]:
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("\n\n\n".join(fake_corpus(80)))
    subject = FakeSubject()
    return subject, sample_corpus(subject, CorpusSpec(str(path)), seed=0)


def test_planted_features_show_in_their_exemplars(
    planted: tuple[FakeSubject, CorpusSample],
) -> None:
    subject, sample = planted
    measured = harvest(subject, sample, range(8))
    assert [row.token for row in measured.token_table(0)] == [" return", "return"]
    for split in KEPT_SPLITS:
        for exemplar in measured.exemplars(0, split):
            fires = exemplar.band not in ("random", "near_miss")
            assert (exemplar.max_activation > 0) == fires
            if fires:
                assert exemplar.tokens[exemplar.peak].strip() == "return"
        near = [e for e in measured.exemplars(4, split) if e.band == "near_miss"]
        assert 0 < len(near) <= PER_NEGATIVE
        assert all(" None" in exemplar.tokens for exemplar in near)  # None, but not after `is`
    dead = measured.statistics(3)
    assert (dead.n_active_tokens, dead.max_activation, dead.scale) == (0, 0.0, 0.0)
    assert {e.band for e in measured.measured(3).exemplars} == {"random"}
    dense = measured.exemplars(5, "propose")
    assert {e.band for e in dense}.isdisjoint({"random", "near_miss"})


def test_one_pass_serves_all_features(planted: tuple[FakeSubject, CorpusSample]) -> None:
    subject, sample = planted
    reported: list[tuple[int, int]] = []
    before = subject.forward_passes
    harvest(
        subject,
        sample,
        range(8),
        batch_tokens=1_024,
        progress=lambda done, total: reported.append((done, total)),
    )
    of_length = Counter(len(window.token_ids) for window in sample.windows)
    fewest = sum(-(-count // (1_024 // length)) for length, count in of_length.items())
    assert subject.forward_passes - before == len(reported) == fewest
    assert reported[-1] == (sample.n_tokens, sample.n_tokens)
    assert reported == sorted(reported)


def test_errors_of_the_subject_are_let_through(
    planted: tuple[FakeSubject, CorpusSample], monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_finite(*_: object) -> None:
        raise ActivationNotFinite("NaN")

    subject, sample = planted
    with pytest.raises(FeatureOutOfRange):
        harvest(subject, sample, [8])
    monkeypatch.setattr(FakeSubject, "encode_windows", not_finite)
    with pytest.raises(ActivationNotFinite):
        harvest(subject, sample, [0])
