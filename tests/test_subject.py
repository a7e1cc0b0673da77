"""The subject as an instrument: batching, special tokens, surfaces, limits, identity."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.subjects import (
    CONTEXT,
    TEXTS,
    damage,
    make_model_dir,
    make_sae_dir,
    make_sae_with,
    make_tokenizer,
    one_thread,
)
from tools.activations import Subject
from tools.errors import (
    ActivationNotFinite,
    EmptyText,
    FeatureOutOfRange,
    InvalidText,
    SubjectError,
    TextTooLong,
)
from tools.model.fingerprint import fingerprint
from tools.subject import LoadedSubject, SaeSource, SubjectSpec, load_subject

FEATURES = list(range(48))


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Generator[None]:
    with one_thread():
        yield


def load(model: Path, sae: Path, **options: Any) -> LoadedSubject:
    return load_subject(SubjectSpec(str(model), SaeSource(path=str(sae)), **options))


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_dir(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def sae_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sae_dir(tmp_path_factory.mktemp("sae"), architecture="jumprelu")


@pytest.fixture(scope="module")
def subject(model_dir: Path, sae_dir: Path) -> LoadedSubject:
    return load(model_dir, sae_dir)


def test_it_meets_the_protocol(subject: LoadedSubject) -> None:
    instrument: Subject = subject
    info = instrument.info
    assert (info.n_features, info.context_size, info.prepend_bos) == (48, CONTEXT, True)
    assert info.hook_point == "blocks.1.hook_resid_post"
    assert instrument.window_size == CONTEXT - 1
    assert not subject.model.training
    assert not subject.sae.training


def test_tokens_and_activations_fit_together(subject: LoadedSubject) -> None:
    for text, found in zip(TEXTS, subject.activations(TEXTS, [3, 1]), strict=True):
        assert found.text == text
        assert list(found.token_ids) == subject.tokenize(text)
        assert list(found.tokens) == subject.surfaces(found.token_ids)
        assert found.activations.shape == (len(found.tokens), 2)
        assert found.activations.dtype == np.float32


@pytest.mark.parametrize(
    "architecture", ["gpt2", "gpt_neox", "llama", "gemma2", "gemma3_text", "qwen3"]
)
def test_neighbours_in_the_batch_change_nothing(
    tmp_path: Path, sae_dir: Path, architecture: str
) -> None:
    subject = load(make_model_dir(tmp_path, architecture), sae_dir)
    together = subject.activations(TEXTS, FEATURES)
    for text, found in zip(TEXTS, together, strict=True):
        alone = subject.activations([text], FEATURES)[0].activations
        scale = np.abs(alone).max()
        np.testing.assert_allclose(found.activations / scale, alone / scale, atol=1e-5)


def test_windows_equal_texts(subject: LoadedSubject) -> None:
    windows = [subject.tokenize(text) for text in TEXTS]
    arrays = subject.encode_windows(windows, [7, 2])
    for found, array in zip(subject.activations(TEXTS, [7, 2]), arrays, strict=True):
        assert np.array_equal(found.activations, array)


def test_windows_up_to_the_limit(subject: LoadedSubject) -> None:
    full = [(subject.tokenize(TEXTS[0]) * CONTEXT)[: subject.window_size]]
    assert subject.encode_windows(full, [0])[0].shape == (subject.window_size, 1)
    assert subject.encode_windows([[]], [0])[0].shape == (0, 1)
    assert subject.encode_windows([[5], [], [6, 7]], [0, 1])[2].shape == (2, 2)
    assert subject.encode_windows([], [0]) == []
    assert subject.activations([], [0]) == []
    assert subject.activations(["x"], [])[0].activations.shape[1] == 0


def test_same_call_same_bits(subject: LoadedSubject, model_dir: Path, sae_dir: Path) -> None:
    first = subject.activations(TEXTS, FEATURES)
    again = load(model_dir, sae_dir).activations(TEXTS, FEATURES)
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.activations, other.activations)


def test_a_special_token_written_out_is_ordinary_text(subject: LoadedSubject) -> None:
    text = "x<|endoftext|>y"
    found = subject.activations([text], [0])[0]
    assert 0 not in found.token_ids
    assert "".join(found.tokens) == text


def test_special_tokens_are_left_out(subject: LoadedSubject, tmp_path: Path) -> None:
    window = [40, 0, 41]
    assert subject.encode_windows([window], FEATURES)[0][1].sum() == 0
    letter = subject.tokenize("x")[0]
    excluding = load(
        Path(subject.spec.model), make_sae_with(tmp_path, exclude_special_tokens=[letter])
    )
    found = excluding.activations(["ax b"], FEATURES)[0]
    assert letter not in found.token_ids
    assert len(found.tokens) == len(found.activations) < len(excluding.tokenize("ax b"))


def test_bos_comes_first_where_metadata_say_so(
    subject: LoadedSubject, model_dir: Path, tmp_path: Path
) -> None:
    without = load(model_dir, make_sae_with(tmp_path / "no", prepend_bos=False))
    unsaid = load(model_dir, make_sae_with(tmp_path / "unsaid", prepend_bos=None))
    assert (without.window_size, unsaid.window_size) == (CONTEXT, CONTEXT - 1)
    assert not without.info.prepend_bos
    ids = [subject.tokenize(TEXTS[1])]
    bare, led = (loaded.encode_windows(ids, FEATURES)[0] for loaded in (without, unsaid))
    assert bare.shape == led.shape
    assert not np.allclose(bare, led)


def test_context_from_metadata_within_what_the_model_takes(model_dir: Path, tmp_path: Path) -> None:
    for said, context in ((16, 16), (4096, CONTEXT), (None, CONTEXT)):
        loaded = load(model_dir, make_sae_with(tmp_path / str(said), context_size=said))
        assert loaded.info.context_size == context


def test_tokenizers_without_a_first_token(sae_dir: Path, tmp_path: Path) -> None:
    ending = make_tokenizer()
    ending.bos_token = None
    loaded = load(make_model_dir(tmp_path / "ending", tokenizer=ending), sae_dir)
    assert loaded.info.prepend_bos, "TransformerLens takes the end-of-sequence token"
    nothing = make_model_dir(tmp_path / "nothing", tokenizer=make_tokenizer(special=None))
    with pytest.raises(SubjectError, match="beginning-of-sequence"):
        load(nothing, sae_dir)
    plain = {"model_class_name": "AutoModelForCausalLM", "hook_name": "transformer.h.1"}
    assert not load(nothing, make_sae_with(tmp_path / "sae", **plain)).info.prepend_bos


def test_surfaces_of_byte_level_tokens(subject: LoadedSubject) -> None:
    text = "The fox, naïve\n\tover 漢"
    surfaces = subject.surfaces(subject.tokenize(text))
    assert surfaces[0] == "The"
    assert " na" in surfaces
    assert "".join(surfaces).startswith("The fox, naïve\n\tover ")
    assert surfaces[-1] == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("kind", ["sentencepiece", "wordpiece"])
def test_surfaces_of_other_tokenizers(sae_dir: Path, tmp_path: Path, kind: str) -> None:
    model = make_model_dir(tmp_path, tokenizer=make_tokenizer(kind))
    subject = load(model, sae_dir)
    ids = subject.tokenize("the quick fox")
    surfaces = subject.surfaces(ids)
    assert "".join(surfaces) == " the quick fox"
    assert surfaces[0].startswith(" ")
    assert subject.surfaces(ids[::-1]) == surfaces[::-1]
    if kind == "sentencepiece":
        assert subject.surfaces([subject.tokenizer.convert_tokens_to_ids("<0x0A>")]) == ["\n"]
        assert "<" not in "".join(subject.surfaces(subject.tokenize("漢")))


def test_too_long_a_text(subject: LoadedSubject) -> None:
    text = "a b " * CONTEXT
    length = len(subject.tokenize(text))
    with pytest.raises(TextTooLong, match=rf"{length} tokens.* {CONTEXT - 1} .*shorten"):
        subject.activations(["fine", text], [0])


def test_half_a_character(subject: LoadedSubject) -> None:
    with pytest.raises(InvalidText, match="character 1 "):
        subject.activations(["fine", "a\ud800b"], [0])


def test_no_text(subject: LoadedSubject) -> None:
    with pytest.raises(EmptyText):
        subject.activations(["fine", ""], [0])


@pytest.mark.parametrize("feature", [48, -1])
def test_no_such_feature(subject: LoadedSubject, feature: int) -> None:
    with pytest.raises(FeatureOutOfRange, match=f"{feature} .* 0 to 47"):
        subject.activations(["fine"], [0, feature])


def test_no_such_token(subject: LoadedSubject) -> None:
    with pytest.raises(SubjectError, match="vocabulary"):
        subject.encode_windows([[10_000]], [0])


def test_nan_in_the_sae_names_feature_and_text(model_dir: Path, tmp_path: Path) -> None:
    sae = make_sae_dir(tmp_path)
    damage(sae / "sae_weights.safetensors", "b_enc", 9, float("nan"))
    subject = load(model_dir, sae)
    assert subject.activations(TEXTS, [8])[0].activations.shape[1] == 1
    with pytest.raises(ActivationNotFinite, match=r"feature 9 on text 0.*def add"):
        subject.activations(TEXTS, [8, 9])


def test_nan_in_the_model_is_found_behind_topk(tmp_path: Path) -> None:
    model = make_model_dir(tmp_path / "model")
    tokens = load(model, make_sae_dir(tmp_path / "sae", architecture="topk"))
    fox = tokens.tokenize(" fox")[0]
    weights = load_file(model / "model.safetensors")
    weights["transformer.wte.weight"][fox] = float("inf")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    subject = load(model, tmp_path / "sae")
    with pytest.raises(ActivationNotFinite, match=r"text 1.*The fox"):
        subject.activations(["fine", "The fox"], [0])


FINGERPRINT = """
import torch
from tools.model.fingerprint import fingerprint
weights = {"b": torch.arange(5000.0), "a": torch.ones(3, 4)}
print(fingerprint({"model": weights}, {"names": frozenset("abcdefgh"), "size": 3}))
"""


def test_fingerprint_is_the_same_in_other_processes() -> None:
    """Whatever order sets happen to have there."""
    run = subprocess.run(
        [sys.executable, "-c", FINGERPRINT],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    weights = {"a": torch.ones(3, 4), "b": torch.arange(5000.0)}
    here = fingerprint({"model": weights}, {"size": 3, "names": frozenset("hgfedcba")})
    assert run.stdout.strip() == here


def test_fingerprint_changes_with_any_weight_or_setting(sae_dir: Path, tmp_path: Path) -> None:
    model = make_model_dir(tmp_path / "model")
    prints = {load(model, sae_dir).info.fingerprint}
    prints.add(load(make_model_dir(tmp_path / "same"), sae_dir).info.fingerprint)
    assert len(prints) == 1, "where the files lie does not matter"
    prints.add(load(model, sae_dir, dtype="bfloat16").info.fingerprint)
    damage(model / "model.safetensors", "transformer.h.2.mlp.c_fc.bias", 5, 0.123)
    prints.add(load(model, sae_dir).info.fingerprint)
    sae = make_sae_dir(tmp_path / "sae", architecture="jumprelu")
    damage(sae / "sae_weights.safetensors", "threshold", 5, 0.123)
    prints.add(load(model, sae).info.fingerprint)
    prints.add(load(model, make_sae_with(tmp_path / "bos", prepend_bos=False)).info.fingerprint)
    assert len(prints) == 5


def test_dtypes_on_a_cpu(tmp_path: Path, sae_dir: Path) -> None:
    model = make_model_dir(tmp_path, dtype="float16")
    assert load(model, sae_dir).model.dtype == torch.float32
    narrow = load(model, sae_dir, dtype="bfloat16")
    assert narrow.model.dtype == torch.bfloat16
    assert narrow.activations(TEXTS, [0])[0].activations.dtype == np.float32
