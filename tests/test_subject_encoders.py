"""Features come out as sae-lens' own encode gives them, whatever the SAE's architecture."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
import torch
from sae_lens import SAE, TrainingSAE
from torch import Tensor

from tests.subjects import HEADS, TEXTS, WIDTH, make_model_dir, make_sae, make_sae_dir, one_thread
from tools.model.encoders import (
    ColumnEncoder,
    Encoder,
    FullEncoder,
    SequenceEncoder,
    TopKEncoder,
    build_encoder,
)
from tools.model.fired import fired_at_most, fired_of
from tools.model.sources import load_sae
from tools.subject import SaeSource, SubjectSpec, load_subject

FEATURES = [5, 0, 47, 5, *range(13, 40, 2)]
"""Out of order and one twice: columns must come as asked for."""

DISTINCT = sorted(set(FEATURES), reverse=True)

COLUMNWISE = ["standard", "jumprelu", "gated"]
TRANSCODERS = [
    "transcoder",
    "skip_transcoder",
    "jumprelu_transcoder",
    "jumprelu_skip_transcoder",
]
COMPETING = ["topk", "abstopk", "matching_pursuit"]
NORMALIZATIONS = [
    "none",
    "layer_norm",
    "constant_norm_rescale",
    "expected_average_only_in",
]
TEMPORAL = {"n_heads": 2, "bottleneck_factor": 4, "sae_diff_type": "topk", "kval_topk": 6}

HIDDEN = torch.randn(3, 9, WIDTH, generator=torch.Generator().manual_seed(1))
KEEP = torch.arange(9) < torch.tensor([[9], [4], [7]])


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Generator[None]:
    with one_thread():
        yield


def assert_fires_as_it_encodes(encoder: Encoder) -> None:
    """What fires is what the dense encode has above zero, to the last bit."""
    for features in (DISTINCT, list(range(48)), [47]):
        with torch.inference_mode():
            dense = encoder.encode(HIDDEN, KEEP, features)
            rows, columns, values = encoder.fire(HIDDEN, KEEP, features)
        assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows)
        found = torch.zeros_like(dense)
        found[rows, columns] = values
        torch.testing.assert_close(found, dense.clamp_min(0), atol=0, rtol=0)


def assert_exact(sae_dir: Path, reference_dir: Path, *, reshape: bool = False) -> None:
    """What is loaded from `sae_dir` encodes as sae-lens does what it loads itself."""
    encoder = build_encoder(load_sae(SaeSource(path=str(sae_dir)), torch.device("cpu")))
    reference = SAE.load_from_disk(reference_dir)
    with torch.inference_mode():
        got = encoder.encode(HIDDEN, KEEP, FEATURES)
        wanted = reference.encode(HIDDEN.unflatten(-1, (HEADS, -1)) if reshape else HIDDEN)
    expected: Tensor = wanted.to_dense()[KEEP][:, FEATURES]
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    assert_fires_as_it_encodes(encoder)
    assert expected.abs().sum() > 0.1, "the test proves nothing if no feature is active"
    assert (expected == 0).any(), "nor if all are"


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
@pytest.mark.parametrize("subtract_bias", [True, False])
@pytest.mark.parametrize("architecture", COLUMNWISE + COMPETING)
def test_sae_equals_sae_lens(
    tmp_path: Path, architecture: str, subtract_bias: bool, normalize: str
) -> None:
    make_sae_dir(
        tmp_path,
        architecture=architecture,
        apply_b_dec_to_input=subtract_bias,
        normalize_activations=normalize,
    )
    assert_exact(tmp_path, tmp_path)


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
@pytest.mark.parametrize("architecture", TRANSCODERS)
def test_transcoder_equals_sae_lens(tmp_path: Path, architecture: str, normalize: str) -> None:
    make_sae_dir(tmp_path, architecture=architecture, normalize_activations=normalize)
    assert_exact(tmp_path, tmp_path)


def test_topk_rescaled_by_decoder_norm(tmp_path: Path) -> None:
    make_sae_dir(tmp_path, architecture="topk", rescale_acts_by_decoder_norm=True)
    assert_exact(tmp_path, tmp_path)


def test_temporal_sae_sees_the_text_before(tmp_path: Path) -> None:
    make_sae_dir(tmp_path, architecture="temporal", **TEMPORAL)
    assert_exact(tmp_path, tmp_path)


@pytest.mark.parametrize("architecture", [*COLUMNWISE, "topk"])
def test_attention_heads_are_laid_side_by_side(tmp_path: Path, architecture: str) -> None:
    hook = {"hook_name": "blocks.1.attn.hook_z", "reshape_activations": "hook_z"}
    make_sae_dir(tmp_path, architecture=architecture, **hook)
    assert_exact(tmp_path, tmp_path, reshape=True)


@pytest.mark.parametrize(
    "training",
    ["standard", "gated", "jumprelu", "topk", "batchtopk", "matryoshka_batchtopk"],
)
def test_training_checkpoints_load(tmp_path: Path, training: str) -> None:
    """A checkpoint of a run gives what sae-lens' finished SAE gives."""
    options = {"matryoshka_widths": [16, 48]} if "matryoshka" in training else {}
    made = make_sae(WIDTH, 48, "blocks.1.hook_resid_post", training, training=True, **options)
    assert isinstance(made, TrainingSAE)
    if "batchtopk" in training:
        made.topk_threshold.fill_(0.3)
    made.save_model(tmp_path / "checkpoint")
    made.save_inference_model(tmp_path / "finished")
    assert_exact(tmp_path / "checkpoint", tmp_path / "finished")
    assert_exact(tmp_path / "finished", tmp_path / "finished")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_dir(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("architecture", [*COLUMNWISE, *TRANSCODERS, "topk", "temporal"])
def test_subject_equals_sae_lens_on_texts(
    model_dir: Path, tmp_path: Path, architecture: str
) -> None:
    """The whole way, against sae-lens on what the model gives at the transcoder's input."""
    options = TEMPORAL if architecture == "temporal" else {}
    make_sae_dir(tmp_path, hook_name="blocks.1.mlp.hook_in", architecture=architecture, **options)
    subject = load_subject(SubjectSpec(str(model_dir), SaeSource(path=str(tmp_path))))
    assert subject.info.architecture == architecture
    reference = SAE.load_from_disk(tmp_path)
    for text, got in zip(TEXTS, subject.activations(TEXTS, FEATURES), strict=True):
        ids = torch.tensor([[0, *subject.tokenize(text)]])
        with torch.inference_mode():
            expected = reference.encode(subject.reader.read(ids))[0, 1:, FEATURES]
        assert got.activations.dtype == np.float32
        np.testing.assert_allclose(got.activations, expected.numpy(), atol=1e-4)


def test_columns_are_computed_alone_only_where_that_is_exact() -> None:
    def encoder(architecture: str, **options: object) -> object:
        return build_encoder(make_sae(8, 16, "blocks.0.hook_resid_pre", architecture, **options))

    assert all(isinstance(encoder(name), ColumnEncoder) for name in COLUMNWISE + TRANSCODERS)
    assert all(isinstance(encoder(name), FullEncoder) for name in COMPETING)
    assert isinstance(encoder("topk"), TopKEncoder)
    assert isinstance(encoder("temporal", n_heads=2, bottleneck_factor=2), SequenceEncoder)


def test_a_subclass_that_may_encode_differently_is_not_sliced() -> None:
    sae = make_sae(8, 16, "blocks.0.hook_resid_pre", "standard")
    sae.__class__ = type("Unknown", (type(sae),), {})
    assert isinstance(build_encoder(sae), FullEncoder)


def test_long_batches_are_encoded_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sae = make_sae(WIDTH, 48, "blocks.0.hook_resid_pre", "topk")
    whole = build_encoder(sae).encode(HIDDEN, KEEP, FEATURES)
    monkeypatch.setattr("tools.model.encoders._FULL_ENCODE_FLOATS", 150)
    monkeypatch.setattr("tools.model.fired._CACHED_FLOATS", 150)
    monkeypatch.setattr("tools.model.fired._LEAST_ROWS", 2)
    assert_fires_as_it_encodes(build_encoder(sae))
    torch.testing.assert_close(build_encoder(sae).encode(HIDDEN, KEEP, FEATURES), whole)


@pytest.mark.parametrize("stored", ["bfloat16", "float16", "float64"])
def test_the_sae_computes_in_float32_at_least(tmp_path: Path, stored: str) -> None:
    make_sae_dir(tmp_path, dtype=stored)
    sae = load_sae(SaeSource(path=str(tmp_path)), torch.device("cpu"))
    assert sae.W_enc.dtype == (torch.float64 if stored == "float64" else torch.float32)


@pytest.mark.parametrize("width", [48, 100, 1536])
@pytest.mark.parametrize("seed", range(6))
def test_the_k_largest_are_those_that_torch_picks(width: int, seed: int) -> None:
    """Ties, NaN, infinities and rows of zeros included."""
    random = torch.Generator().manual_seed(seed)
    latents = torch.randn(200, width, generator=random) - seed % 3
    if seed % 2:
        latents = (latents * 2).round() / 2
    latents[3] = 0
    latents[4] = -torch.inf
    latents[5, 7] = torch.nan
    latents[6, 9] = torch.inf
    values, columns = latents.topk(12, sorted=False)
    expected = torch.zeros_like(latents).scatter(-1, columns, values.relu())
    rows, columns, values = fired_at_most(latents, 12)
    found = torch.zeros_like(latents)
    found[rows, columns] = values
    torch.testing.assert_close(found, expected, atol=0, rtol=0, equal_nan=True)
    assert found.isnan().sum() == 1


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n_features", [1, 2, 5, 40])
@pytest.mark.parametrize("width", [48, 1536])
def test_ranks_counted_out_are_those_that_torch_finds(
    width: int, n_features: int, ties: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few features and many, with and without ties at the edge, NaN and infinities."""
    sae = make_sae(WIDTH, width, "blocks.0.hook_resid_pre", "topk")
    encoder = build_encoder(sae)
    random = torch.Generator().manual_seed(n_features)
    latents = torch.randn(200, width, generator=random) - 1
    latents = (latents * 2).round() / 2 if ties else latents
    latents[3], latents[4] = 0, -torch.inf
    latents[5, 7], latents[6, 9] = torch.nan, torch.inf
    monkeypatch.setattr(encoder, "_latents", lambda tokens: latents)
    values, columns = latents.topk(int(sae.cfg.k), sorted=False)
    dense = torch.zeros_like(latents).scatter(-1, columns, values.relu())
    assert (dense > 0).any()
    hidden, keep = torch.zeros(200, 1, WIDTH), torch.ones(200, 1, dtype=torch.bool)
    for start in range(0, 48, n_features):
        features = range(start, min(width, start + n_features))
        found = encoder.encode(hidden, keep, features)
        torch.testing.assert_close(found, dense[:, features], atol=0, rtol=0, equal_nan=True)


def test_what_is_not_finite_is_not_lost() -> None:
    latents = torch.tensor([[0.0, -1.0, 2.0], [torch.nan, torch.inf, -torch.inf]])
    rows, columns, values = fired_of(latents)
    assert rows.tolist() == [0, 1, 1, 1]
    assert columns.tolist() == [2, 0, 1, 2]
    assert values.isfinite().tolist() == [True, False, False, False]
