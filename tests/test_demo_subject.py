"""The shipped demo subject loads in the hubs' own formats and is as good as its card says."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from sae_lens import SAE
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tools.demo.autoencoder import reconstruction_figures, residual_reader, residuals
from tools.demo.language_model import mean_loss
from tools.demo.text import Hyperparameters, cut_windows, split_documents, token_stream

DEMO = Path(__file__).parents[1] / "tools" / "demo"
SHIPPED_BYTES = 12_000_000
TOKENS = 20_000


@cache
def model() -> Any:
    return AutoModelForCausalLM.from_pretrained(DEMO / "model", dtype=torch.float32).eval()


@cache
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(DEMO / "model")


@cache
def sae() -> Any:
    return SAE.load_from_disk(DEMO / "sae", device="cpu")


@cache
def held_out_stream() -> torch.Tensor:
    return token_stream(tokenizer(), split_documents(Hyperparameters())[1])[:TOKENS]


def test_the_files_are_small_and_name_no_path():
    files = [p for part in ("model", "sae") for p in (DEMO / part).iterdir()]
    assert sum(p.stat().st_size for p in files) <= SHIPPED_BYTES
    for path in files:
        if path.name in {"config.json", "generation_config.json", "tokenizer_config.json"}:
            assert "/" not in path.read_text(encoding="utf-8")
    assert "/" not in (DEMO / "sae" / "cfg.json").read_text(encoding="utf-8")


def test_the_weights_are_stored_in_half_precision():
    weights = load_file(DEMO / "model" / "model.safetensors")
    assert {w.dtype for w in weights.values()} == {torch.float16}
    assert model().dtype == torch.float32


def test_model_tokenizer_and_sae_fit_together():
    assert model().config.vocab_size == len(tokenizer()) == 4096
    assert model().config.n_embd == sae().cfg.d_in == sae().W_dec.shape[1]
    assert sae().cfg.d_sae == sae().W_enc.shape[1] == 1536
    assert model().config.bos_token_id == tokenizer().bos_token_id == 0
    assert sae().cfg.metadata.context_size <= model().config.n_positions


@pytest.mark.parametrize(
    "text",
    [
        "def f(self):\n        return  x\n\n\tclass Foo: pass  # trailing  ",
        " leading space, ’quotes’, naïve — 日本語 🙂 \u0000\x7f",
        "no leading space\r\nand a carriage return",
    ],
)
def test_the_tokenizer_gives_text_back(text: str):
    assert tokenizer().decode(tokenizer()(text)["input_ids"]) == text


def test_the_tokenizer_splits_as_gpt2_does():
    assert tokenizer().tokenize("return self\n        if") == ["return", "Ġself", "ĊĠĠĠĠĠĠĠ", "Ġif"]
    assert tokenizer()("<|endoftext|>x")["input_ids"][0] == tokenizer().bos_token_id
    assert tokenizer().bos_token_id not in tokenizer()("x")["input_ids"]


def test_the_sae_says_how_it_is_to_be_fed():
    metadata = sae().cfg.metadata
    assert metadata.model_name == "saesage-demo-gpt2"
    assert metadata.hook_name == "blocks.2.hook_resid_post"
    assert metadata.context_size == 128
    assert metadata.prepend_bos is True
    assert metadata.exclude_special_tokens is True
    assert "standard library" in metadata.dataset
    assert metadata.sae_lens_version.startswith("6.")


def test_the_reader_gives_the_residual_stream_of_the_hook():
    ids = held_out_stream()[:256].view(2, 128)
    with torch.no_grad():
        states = model()(ids, output_hidden_states=True).hidden_states
        read = residual_reader(model(), 2)(ids).last_hidden_state
    torch.testing.assert_close(read, states[3])


def test_the_sae_rebuilds_held_out_activations():
    windows = cut_windows(held_out_stream(), 128)
    figures = reconstruction_figures(sae(), residuals(residual_reader(model(), 2), windows))
    assert figures["fvu"] <= 0.25
    assert 0 < figures["l0"] <= sae().cfg.k


def test_the_model_predicts_far_better_than_token_frequencies():
    stream = held_out_stream()
    share = torch.bincount(stream).float() / len(stream)
    entropy = float(-(share * share.clamp_min(1e-12).log()).sum())
    assert mean_loss(model(), cut_windows(stream, 128)) < 0.65 * entropy


def test_the_card_gives_the_measured_figures():
    card = (DEMO / "MODEL_CARD.md").read_text(encoding="utf-8")
    figures = json.loads((DEMO / "figures.json").read_text(encoding="utf-8"))
    assert figures["fvu"] <= 0.25
    assert figures["dead_share"] <= 0.1
    assert figures["census_positions"] >= 1_000_000
    for value in (
        f"{figures['fvu']:.3f}",
        f"{figures['dead_share']:.1%}",
        f"{figures['loss']:.3f}",
    ):
        assert value in card
