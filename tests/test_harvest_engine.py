"""The pass over a corpus: exact on every SAE, bounded, resumable, and hard to stop."""

from __future__ import annotations

import errno
import tracemalloc
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM

from tests.fakes import FakeSubject
from tests.subjects import LAYERS, make_model_dir, make_sae_dir, one_thread
from tests.test_harvest import N_FEATURES, MatrixSubject, random_case
from tools.activations import SparseSubject
from tools.errors import ActivationNotFinite, DatabaseFull, OutOfMemory
from tools.exemplars import SPLITS
from tools.harvest.batch_size import BATCH_TOKENS, BatchSize
from tools.harvest.blocks import FolderShelf, Runs, Span
from tools.harvest.firings import lay_out, measure_firings, spans_of, tokens_per_block
from tools.harvest.harvest import Harvest, harvest
from tools.harvest.sampling import CorpusSample, Window
from tools.model.fused_mlp import FusedProjection, fuse_mlps
from tools.model.memory import explain_memory
from tools.model.readers import use_fused_gelu
from tools.subject import LoadedSubject, SaeSource, SubjectSpec, load_subject

ARCHITECTURES = [
    *("standard", "gated", "jumprelu", "topk", "abstopk", "matching_pursuit", "temporal"),
    *("transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder"),
]
WIDTH = 48


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Generator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_dir(tmp_path_factory.mktemp("model"))


def subject_with(model_dir: Path, sae: Path, architecture: str, hook: str = "") -> LoadedSubject:
    temporal = {"n_heads": 2, "bottleneck_factor": 4, "sae_diff_type": "topk", "kval_topk": 6}
    options = temporal if architecture == "temporal" else {}
    hook = hook or f"blocks.{LAYERS - 2}.hook_resid_post"
    make_sae_dir(sae, d_sae=WIDTH, hook_name=hook, architecture=architecture, **options)
    return load_subject(SubjectSpec(str(model_dir), SaeSource(path=str(sae))))


def random_windows(seed: int, n: int = 60) -> CorpusSample:
    """Windows of 1 to 20 tokens, ids below 300."""
    random = np.random.default_rng(seed)
    windows = [
        Window(
            f"document {index}",
            SPLITS[int(random.integers(0, 3))],
            index,
            tuple(random.integers(1, 300, int(random.integers(1, 21))).tolist()),
        )
        for index in range(n)
    ]
    return CorpusSample(tuple(windows), 20, seed, f"sample {seed}")


def kept(measured: Harvest, feature: int) -> list[tuple[object, ...]]:
    """All that is kept of a feature, to be compared."""
    return [
        measured.statistics(feature),
        tuple(measured.token_table(feature)),
        *(
            (e.id, e.token_ids, e.activations.tolist())
            for e in measured.measured(feature).exemplars
        ),
    ]


# What is found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_firings_equal_the_dense_encode_of_each_window(
    model_dir: Path, tmp_path: Path, architecture: str
) -> None:
    """Whatever the batches, blocks and features, for random SAEs of every architecture."""
    hook = "blocks.1.mlp.hook_in" if "transcoder" in architecture else ""
    subject = subject_with(model_dir, tmp_path / "sae", architecture, hook)
    assert isinstance(subject, SparseSubject)
    sample = random_windows(len(architecture))
    layout = lay_out(sample)
    every = range(WIDTH)
    alone = [subject.encode_windows([window.token_ids], every)[0] for window in sample.windows]
    dense = np.maximum(np.concatenate(alone), 0)
    assert 0 < (dense > 0).sum() < dense.size
    cases = [(40, 70, list(every)), (7, 1, [5, 47, 0]), (4_096, 10_000, list(every)[::-1])]
    for number, (batch_tokens, block_tokens, features) in enumerate(cases):
        folder = tmp_path / str(number) if number else None
        sizes = {"batch_tokens": batch_tokens, "block_tokens": block_tokens}
        table = measure_firings(subject, sample, layout, features, folder=folder, **sizes)
        found = np.zeros((len(dense), len(features)), np.float32)
        for column, feature in enumerate(features):
            firings = table.of(feature)
            assert (np.diff(firings.places) > 0).all()
            assert table.count(feature) == len(firings.places)
            found[firings.places, column] = firings.values
        np.testing.assert_allclose(found, dense[:, features], atol=2e-5)


@pytest.mark.parametrize("seed", range(6))
def test_batches_blocks_and_files_change_nothing(tmp_path: Path, seed: int) -> None:
    """A subject without noise, with many ties: exactly the same exemplars."""
    subject, sample = random_case(seed)
    plain = harvest(subject, sample, range(N_FEATURES))
    random = np.random.default_rng(seed)
    for number in range(4):
        batch_tokens, block_tokens = (int(random.integers(1, 400)) for _ in range(2))
        other = harvest(
            subject,
            sample,
            range(N_FEATURES),
            folder=tmp_path / str(number) if number % 2 else None,
            batch_tokens=batch_tokens,
            block_tokens=block_tokens,
        )
        for feature in range(N_FEATURES):
            assert kept(other, feature) == kept(plain, feature)


@pytest.mark.parametrize("architecture", ["topk", "jumprelu"])
def test_the_sparse_way_chooses_the_same_exemplars(
    model_dir: Path, tmp_path: Path, architecture: str
) -> None:
    """Against a subject that only has `encode_windows`, to the last bit."""
    subject = subject_with(model_dir, tmp_path / "sae", architecture)
    sample = random_windows(1)
    sparse = harvest(subject, sample, range(WIDTH))
    dense = harvest(DenseOnly(subject), sample, range(WIDTH))
    for feature in range(WIDTH):
        assert kept(sparse, feature) == kept(dense, feature)


class DenseOnly(FakeSubject):
    """Another subject's dense activations."""

    def __init__(self, subject: LoadedSubject) -> None:
        super().__init__(window_size=subject.window_size)
        self.subject = subject

    def surfaces(self, token_ids: Sequence[int]) -> list[str]:
        return self.subject.surfaces(token_ids)

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        return self.subject.encode_windows(windows, features)


# Stopping and going on


class Limited(MatrixSubject):
    """Counts batches, and fails as it is told to."""

    def __init__(self, subject: MatrixSubject) -> None:
        super().__init__(subject.matrices)
        self.batches: list[int] = []
        self.stop_after: int | None = None
        self.most_windows: int | None = None
        self.broken: set[int] = set()

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        if len(self.batches) == self.stop_after:
            raise KeyboardInterrupt
        if self.most_windows is not None and len(windows) > self.most_windows:
            raise OutOfMemory("too many")
        for feature in self.broken & set(features):
            raise ActivationNotFinite(f"NaN at feature {feature}", feature)
        self.batches.append(len(windows))
        return super().encode_windows(windows, features)


def limited_case(seed: int = 5) -> tuple[Limited, CorpusSample]:
    subject, sample = random_case(seed)
    assert len(sample.windows) > 100
    return Limited(subject), sample


def test_a_killed_pass_goes_on_after_the_last_finished_block(tmp_path: Path) -> None:
    subject, sample = limited_case()
    expected = harvest(subject, sample, range(N_FEATURES), block_tokens=200)
    whole = len(subject.batches)
    subject.batches, subject.stop_after = [], whole // 2
    with pytest.raises(KeyboardInterrupt):
        harvest(subject, sample, range(N_FEATURES), folder=tmp_path, block_tokens=200)
    finished = list(tmp_path.glob("*.safetensors"))
    assert finished
    assert not list(tmp_path.glob("*.part"))
    (tmp_path / "0-3.part").write_bytes(b"half")
    torn = finished[0]
    torn.write_bytes(torn.read_bytes()[:-5])
    subject.batches, subject.stop_after = [], None
    reported: list[int] = []
    again = harvest(
        subject,
        sample,
        range(N_FEATURES),
        folder=tmp_path,
        block_tokens=200,
        progress=lambda done, _: reported.append(done),
    )
    assert sum(subject.batches) < len(sample.windows), "finished blocks are not run again"
    assert reported[-1] == sample.n_tokens
    for feature in range(N_FEATURES):
        assert kept(again, feature) == kept(expected, feature)
    subject.batches = []
    harvest(subject, sample, range(N_FEATURES), folder=tmp_path, block_tokens=200)
    assert subject.batches == [], "nor is anything once all are"


def test_nan_in_one_feature_costs_no_further_pass(tmp_path: Path) -> None:
    subject, sample = limited_case()
    expected = harvest(subject, sample, range(N_FEATURES), block_tokens=200)
    whole = len(subject.batches)
    subject.batches, subject.broken = [], {2, 4}
    for batches in (whole, 0):  # the second time everything is read back
        found = harvest(subject, sample, range(N_FEATURES), folder=tmp_path, block_tokens=200)
        assert len(subject.batches) == batches
        subject.batches = []
        assert found.features == (0, 1, 3, 5)
        assert {feature: str(error) for feature, error in found.failures.items()} == {
            2: "NaN at feature 2",
            4: "NaN at feature 4",
        }
        for feature in found.features:
            assert kept(found, feature) == kept(expected, feature)


def test_features_that_turn_bad_late_leave_the_others_whole() -> None:
    subject, sample = limited_case()
    windows = sample.windows
    late = max(range(len(windows)), key=lambda index: -len(windows[index].token_ids))

    class Late(Limited):
        def encode_windows(
            self, windows: Sequence[Sequence[int]], features: Sequence[int]
        ) -> list[NDArray[np.float32]]:
            self.broken = {1} if sample.windows[late].token_ids in windows else set()
            return super().encode_windows(windows, features)

    found = harvest(Late(subject), sample, range(N_FEATURES), block_tokens=100_000)
    expected = harvest(subject, sample, [0, 2, 3, 4, 5])
    assert set(found.failures) == {1}
    assert found.features == expected.features
    for feature in found.features:
        assert kept(found, feature) == kept(expected, feature)


def test_nan_in_every_feature_or_in_the_model_ends_the_pass() -> None:
    subject, sample = limited_case()
    subject.broken = {0, 1}
    with pytest.raises(ActivationNotFinite, match="feature"):
        harvest(subject, sample, [0, 1])


def test_real_nan_in_one_column(model_dir: Path, tmp_path: Path) -> None:
    subject = subject_with(model_dir, tmp_path / "sae", "standard")
    good = subject.firing_windows([[5, 6, 7], [8, 9]], range(WIDTH))
    subject.sae.b_enc.data[9] = float("nan")
    fired = subject.firing_windows([[5, 6, 7], [8, 9]], range(WIDTH))
    assert list(fired.failures) == [9]
    assert "feature 9 on text 0" in str(fired.failures[9])
    assert 9 not in fired.columns
    np.testing.assert_array_equal(fired.values, good.values[good.columns != 9])


# Memory and disk


def test_out_of_memory_halves_the_batch_and_says_so() -> None:
    subject, sample = limited_case()
    expected = harvest(subject, sample, range(N_FEATURES))
    subject.batches, subject.most_windows = [], 5
    with pytest.warns(RuntimeWarning, match="not enough memory.*going on with"):
        found = harvest(subject, sample, range(N_FEATURES), batch_tokens=160)
    assert max(subject.batches) <= 5
    assert sum(subject.batches) == len(sample.windows)
    for feature in range(N_FEATURES):
        assert kept(found, feature) == kept(expected, feature)
    subject.most_windows = 0
    with pytest.raises(OutOfMemory):
        harvest(subject, sample, [0], batch_tokens=1)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory: you tried")]
)
def test_lack_of_memory_is_told_apart(error: Exception) -> None:
    with pytest.raises(OutOfMemory, match="batch of 3 texts"), explain_memory(3):
        raise error
    with pytest.raises(RuntimeError, match="shapes"), explain_memory(3):
        raise RuntimeError("shapes do not fit")


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    subject, sample = limited_case()
    monkeypatch.setattr("tools.harvest.blocks.save_file", full)
    with pytest.raises(DatabaseFull, match="goes on after the last finished block"):
        harvest(subject, sample, range(N_FEATURES), folder=tmp_path / "x", block_tokens=50)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    """Four times the text, not twice the memory: the firings of one block, and counts."""

    class Dense(FakeSubject):
        def encode_windows(
            self, windows: Sequence[Sequence[int]], features: Sequence[int]
        ) -> list[NDArray[np.float32]]:
            return [np.ones((len(window), len(features)), np.float32) for window in windows]

    def peak(n_windows: int) -> int:
        windows = [Window("d", "propose", n, (n % 9,) * 16) for n in range(n_windows)]
        sample = CorpusSample(tuple(windows), 16, 0, str(n_windows))
        layout = lay_out(sample)
        folder = tmp_path / str(n_windows)
        tracemalloc.start()
        table = measure_firings(
            Dense(), sample, layout, range(8), folder=folder, batch_tokens=256, block_tokens=1_024
        )
        for feature in range(8):
            assert table.count(feature) == len(layout.token_ids)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(100)
    assert peak(4_000) < 2 * peak(1_000)


def test_blocks_fit_the_memory_they_are_given() -> None:
    assert tokens_per_block(8, 2.0) == tokens_per_block(8, 8.0) == 32_768
    assert 2_048 < tokens_per_block(131_072, 1.0) == tokens_per_block(16_384, 1.0) < 32_768
    assert tokens_per_block(131_072, 0.001) == 2_048


def test_spans_are_all_windows_in_order() -> None:
    layout = lay_out(random_windows(0))
    for block_tokens in (1, 33, 10_000):
        spans = spans_of(layout, block_tokens)
        assert [index for span in spans for index in range(*span)] == list(range(60))
    assert len(spans_of(layout, 1)) == 60


def test_a_block_without_firings_is_read_back(tmp_path: Path) -> None:
    shelf = FolderShelf(tmp_path)
    empty = Runs(np.zeros(4, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
    shelf.put(Span(0, 2), empty, {})
    found = shelf.find(Span(0, 2))
    assert found is not None
    assert len(found.read(0, 3).places) == 0
    assert shelf.find(Span(0, 3)) is None


def test_many_windows_of_one_token(tmp_path: Path) -> None:
    windows = [Window(str(n), SPLITS[n % 3], 0, (n % 250,)) for n in range(30_000)]
    subject = FakeSubject()
    found = harvest(
        subject, CorpusSample(tuple(windows), 32, 0, "short"), range(8), folder=tmp_path
    )
    assert subject.forward_passes == -(-30_000 // BATCH_TOKENS)
    assert found.statistics(5).n_active_tokens == 30_000


# Batch sizes


def test_the_quickest_batch_size_is_kept_where_it_pays() -> None:
    for seconds, expected in (
        ({BATCH_TOKENS: 1.0, BATCH_TOKENS // 2: 0.98, BATCH_TOKENS * 2: 0.97}, BATCH_TOKENS),
        ({BATCH_TOKENS: 1.0, BATCH_TOKENS // 2: 0.98, BATCH_TOKENS * 2: 0.7}, BATCH_TOKENS * 2),
    ):
        batch = BatchSize(None, 10_000_000)
        tried: list[int] = []
        while len(tried) < 9:
            tried.append(batch.tokens)
            batch.took(10, 1e-9)  # not full: says nothing
            batch.took(batch.tokens, seconds[batch.tokens] * batch.tokens)
        assert sorted(set(tried)) == sorted(seconds)
        assert batch.tokens == expected
    assert BatchSize(None, 10_000).tokens == BATCH_TOKENS
    assert BatchSize(7, 10_000_000).tokens == 7


# The model


def test_fused_mlps_give_the_same_whatever_the_batch(model_dir: Path) -> None:
    """5e-7 per layer beside step-by-step GELU; batches differ by less than 1e-6."""
    ids = torch.randint(0, 300, (7, 20), generator=torch.Generator().manual_seed(0))
    plain, fused, read_inside = (
        AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32) for _ in range(3)
    )
    use_fused_gelu(fused)
    fuse_mlps(fused, "transformer.h.2")
    inside = "transformer.h.0.mlp.c_fc"
    use_fused_gelu(read_inside)
    fuse_mlps(read_inside, inside)
    kinds = [isinstance(m, FusedProjection) for m in fused.modules()]
    assert sum(kinds) == LAYERS
    assert not isinstance(read_inside.get_submodule(inside), FusedProjection)
    with torch.inference_mode():
        states, expected = (m(ids, output_hidden_states=True).hidden_states for m in (fused, plain))
        alone = fused(ids[:1], output_hidden_states=True).hidden_states
    torch.testing.assert_close(states[-1], expected[-1], atol=2e-5, rtol=0)
    torch.testing.assert_close(alone[1], states[1][:1], atol=1e-6, rtol=0)
    assert fused.state_dict().keys() == plain.state_dict().keys()
