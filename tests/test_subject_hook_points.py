"""The value at each hook point is the one TransformerLens gives."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights
from transformers import AutoModelForCausalLM

from tests.subjects import (
    CONTEXT,
    HEADS,
    LAYERS,
    TEXTS,
    WIDTH,
    make_model_dir,
    make_sae_dir,
    one_thread,
)
from tools.errors import UnsupportedHookPoint, WidthMismatch
from tools.model.bridge_reader import BridgeReader
from tools.model.hook_points import locate
from tools.model.hub import quiet_libraries
from tools.model.readers import HookReader
from tools.model.sae_settings import SaeSettings
from tools.model.sources import load_model
from tools.subject import SaeSource, SubjectSpec, load_subject

FAMILIES = ["gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2"]
FAMILIES += ["gemma3_text"]
PARALLEL = {"gpt_neox"}
TAILS = [
    "hook_resid_pre",
    "hook_resid_post",
    "hook_resid_mid",
    "hook_attn_out",
    "hook_mlp_out",
    "attn.hook_z",
    "mlp.hook_in",
    "mlp.hook_post",
    "ln1.hook_normalized",
    "ln2.hook_normalized",
]
IDS = torch.tensor([[0, 40, 7, 199, 3, 3, 250, 17, 90, 41, 12, 8], [0, *range(100, 111)]])


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Generator[None]:
    with one_thread():
        yield


def settings(hook_name: str, **metadata: Any) -> SaeSettings:
    return SaeSettings.from_metadata({"hook_name": hook_name, **metadata})


def read(model: Any, wanted: SaeSettings) -> torch.Tensor:
    point = locate(model, wanted)
    assert point is not None
    with torch.inference_mode():
        return HookReader(model, point, wanted.head).read(IDS)


def load(path: Path) -> tuple[Any, Any]:
    return load_model(str(path), torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A family's name, its model, and all that TransformerLens' bridge finds in it."""
    path = make_model_dir(tmp_path_factory.mktemp("model"), request.param)
    raw, tokenizer = load(path)
    raw.set_attn_implementation("eager")
    with quiet_libraries(), torch.inference_mode():
        bridge = TransformerBridge.boot_transformers(
            str(path), hf_model=raw, tokenizer=tokenizer, device="cpu"
        )
        cache = bridge.run_with_cache(IDS)[1]
    return request.param, load(path)[0], cache


@pytest.mark.parametrize("tail", TAILS)
def test_plain_transformers_equals_the_bridge(family: Any, tail: str) -> None:
    name, model, cache = family
    if name in PARALLEL and tail == "hook_resid_mid":
        assert locate(model, settings(f"blocks.1.{tail}")) is None
        return
    for layer in range(LAYERS):
        hook_name = f"blocks.{layer}.{tail}"
        expected = cache[hook_name].flatten(2)
        got = read(model, settings(hook_name))
        scale = float(expected.abs().max())
        torch.testing.assert_close(got / scale, expected / scale, atol=5e-6, rtol=0)


def hooked_gpt2(path: Path, **processing: bool) -> HookedTransformer:
    """GPT-2's weights in TransformerLens' own implementation of it."""
    wanted = dict.fromkeys(
        ["fold_ln", "center_writing_weights", "center_unembed", "fold_value_biases"], False
    )
    model = AutoModelForCausalLM.from_pretrained(path)
    config = HookedTransformerConfig(
        n_layers=LAYERS,
        d_model=WIDTH,
        d_head=WIDTH // HEADS,
        n_heads=HEADS,
        d_mlp=4 * WIDTH,
        d_vocab=model.config.vocab_size,
        n_ctx=CONTEXT,
        act_fn="gelu_new",
        normalization_type="LN",
        device="cpu",
    )
    hooked = HookedTransformer(config)
    hooked.load_and_process_state_dict(convert_gpt2_weights(model, config), **wanted | processing)
    return hooked


@pytest.mark.parametrize("processing", [{}, {"center_writing_weights": True}, {"fold_ln": True}])
def test_gpt2_equals_hooked_transformer(tmp_path: Path, processing: dict[str, bool]) -> None:
    """Weight processing that the SAE's metadata ask for is done, and no other."""
    path = make_model_dir(tmp_path)
    with quiet_libraries(), torch.inference_mode():
        cache = hooked_gpt2(path, **processing).run_with_cache(IDS)[1]
    model = load(path)[0]
    for tail in set(TAILS) - {"mlp.hook_in"}:  # which this implementation does not have
        hook_name = f"blocks.1.{tail}"
        wanted = settings(hook_name, model_from_pretrained_kwargs=processing)
        torch.testing.assert_close(
            read(model, wanted), cache[hook_name].flatten(2), atol=1e-5, rtol=1e-5
        )


def test_centring_leaves_models_with_rms_norms_alone(tmp_path: Path) -> None:
    model = load(make_model_dir(tmp_path, "llama"))[0]
    kwargs = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    plain, asked = (
        read(model, settings("blocks.1.hook_resid_post", **more)) for more in ({}, kwargs)
    )
    assert torch.equal(plain, asked)


@pytest.mark.parametrize(
    ("architecture", "tail", "width"),
    [
        ("gpt2", "mlp.hook_pre", 4 * WIDTH),
        ("llama", "attn.hook_q", WIDTH),
        ("llama", "ln2.hook_out", WIDTH),
        ("gptj", "hook_mlp_out", WIDTH),
    ],
)
def test_other_hook_points_go_through_the_bridge(
    tmp_path: Path, architecture: str, tail: str, width: int
) -> None:
    model = make_model_dir(tmp_path / "model", architecture)
    sae = make_sae_dir(tmp_path / "sae", d_in=width, hook_name=f"blocks.1.{tail}")
    subject = load_subject(SubjectSpec(str(model), SaeSource(path=str(sae))))
    assert isinstance(subject.reader, BridgeReader)
    features = range(subject.info.n_features)
    together = subject.activations(TEXTS, features)
    for text, found in zip(TEXTS, together, strict=True):
        alone = subject.activations([text], features)[0].activations
        np.testing.assert_allclose(found.activations, alone, atol=1e-5)
    assert sum(found.activations.sum() for found in together) > 0


def test_value_biases_are_folded_where_metadata_ask_for_it(tmp_path: Path) -> None:
    """That moves attn.hook_z, by the value biases and nothing else."""
    path = make_model_dir(tmp_path)
    kwargs = {"fold_value_biases": True}
    with quiet_libraries(), torch.inference_mode():
        expected = hooked_gpt2(path, **kwargs).run_with_cache(IDS)[1]["blocks.1.attn.hook_z"]
    model, tokenizer = load(path)
    wanted = settings("blocks.1.attn.hook_z", model_from_pretrained_kwargs=kwargs)
    assert locate(model, wanted) is None
    with torch.inference_mode():
        got = BridgeReader(str(path), model, tokenizer, wanted).read(IDS)
    torch.testing.assert_close(got, expected.flatten(2), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("metadata", "same_as"),
    [
        ({"hook_name": "model.layers.1"}, "blocks.1.hook_resid_post"),
        ({"hook_name": "model.layers.1.mlp"}, "blocks.1.hook_mlp_out"),
        ({"hook_name": "model.layers.1.self_attn.o_proj.input"}, "blocks.1.attn.hook_z"),
        (
            {
                "hook_name": "blocks.1.hook_mlp_in",
                "hf_hook_name": "model.layers.1.post_attention_layernorm.output",
            },
            "blocks.1.mlp.hook_in",
        ),
        (
            {
                "hook_name": "blocks.1.hook_resid_post",
                "hf_hook_name": "model.language_model.layers.1.output",
            },
            "blocks.1.hook_resid_post",
        ),
    ],
)
def test_module_paths(tmp_path: Path, metadata: dict[str, Any], same_as: str) -> None:
    model = load(make_model_dir(tmp_path, "llama"))[0]
    for plain in (None, "AutoModelForCausalLM"):
        if plain and metadata["hook_name"].startswith("blocks"):
            continue
        wanted = SaeSettings.from_metadata({**metadata, "model_class_name": plain})
        assert torch.equal(read(model, wanted), read(model, settings(same_as)))


@pytest.mark.parametrize(
    ("hook_name", "named"),
    [
        ("blocks.1.hook_resid_pots", "blocks.1.hook_resid_post"),
        ("blocks.7.hook_resid_pre", "blocks.2.hook_resid_pre"),
        ("transformer.h.1.mpl", "transformer.h.1.mlp"),
        ("", "hook_name"),
    ],
)
def test_unknown_hook_points_name_their_neighbours(
    tmp_path: Path, hook_name: str, named: str
) -> None:
    model = make_model_dir(tmp_path / "model")
    sae = make_sae_dir(tmp_path / "sae", hook_name=hook_name)
    with pytest.raises(UnsupportedHookPoint, match=named.replace(".", r"\.")):
        load_subject(SubjectSpec(str(model), SaeSource(path=str(sae))))


def test_width_mismatch_names_both_widths(tmp_path: Path) -> None:
    model = make_model_dir(tmp_path / "model")
    sae = make_sae_dir(tmp_path / "sae", d_in=24)
    with pytest.raises(WidthMismatch, match=r"24 numbers .*hook_resid_post.* gives 32"):
        load_subject(SubjectSpec(str(model), SaeSource(path=str(sae))))


def test_hooks_are_removed_and_the_rest_of_the_model_stays_unrun(tmp_path: Path) -> None:
    model = load(make_model_dir(tmp_path))[0]

    def fail(*_: object) -> None:
        raise AssertionError("the forward pass went on behind the hook point")

    model.transformer.h[2].register_forward_pre_hook(fail)
    before = [len(module._forward_hooks) for module in model.modules()]
    read(model, settings("blocks.1.hook_resid_post"))
    assert [len(module._forward_hooks) for module in model.modules()] == before
