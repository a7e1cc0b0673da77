"""Where in a `transformers` model a hook point of TransformerLens or a module path lies."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (transformers' configs are typed too loosely for strict checking.)

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from tools.errors import UnsupportedHookPoint
from tools.model.sae_settings import SaeSettings

Side = Literal["input", "output"]

_BLOCK_HOOK = re.compile(r"blocks\.(\d+)\.(.+)")

_WRITES_RESIDUAL = frozenset(
    {"hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_attn_out", "hook_mlp_out"}
    | {"hook_mlp_in"}
)
"""Hook points whose value loses its mean when TransformerLens centres the writing weights."""

_CHANGED_BY = {
    "attn.hook_z": {"fold_value_biases", "refactor_factored_attn_matrices"},
    "mlp.hook_in": {"fold_ln"},
}
"""Hook points that hold other values after these kinds of weight processing."""


@dataclass(frozen=True, slots=True)
class HookPoint:
    """One place in a model, as a module and a side of it."""

    path: str
    """Path of the module."""
    side: Side
    """Whether its first input or its (first) output is meant."""
    normalized: bool = False
    """The module is a norm, and its input is wanted normalised but not yet scaled."""
    centered: bool = False
    """The mean over the width is taken off, which is what centring the writing weights does."""
    split_heads: bool = False
    """The value holds all attention heads side by side."""


@dataclass(frozen=True, slots=True)
class _Block:
    """What the parts of a transformer block are called."""

    attention: str
    projection: str
    mlp: str
    mlp_projection: str
    mlp_norm: str
    attention_norm: str
    attention_post: str | None = None
    mlp_post: str | None = None


_GPT2 = _Block("attn", "attn.c_proj", "mlp", "mlp.c_proj", "ln_2", "ln_1")
_NEOX = _Block(
    *("attention", "attention.dense", "mlp", "mlp.dense_4h_to_h"),
    *("post_attention_layernorm", "input_layernorm"),
)
_LLAMA = _Block(
    *("self_attn", "self_attn.o_proj", "mlp", "mlp.down_proj"),
    *("post_attention_layernorm", "input_layernorm"),
)
_GEMMA2 = _Block(
    *("self_attn", "self_attn.o_proj", "mlp", "mlp.down_proj"),
    *("pre_feedforward_layernorm", "input_layernorm"),
    *("post_attention_layernorm", "post_feedforward_layernorm"),
)

_FAMILIES = {
    "gpt2": _GPT2,
    "gpt_neox": _NEOX,
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma"), _LLAMA),
    **dict.fromkeys(("gemma2", "gemma3_text"), _GEMMA2),
}
"""Families whose hook points were checked against TransformerLens; others go through it."""


def locate(model: PreTrainedModel, settings: SaeSettings) -> HookPoint | None:
    """The hook point of an SAE as a place in `model`.

    Returns:
        None where plain `transformers` does not give exactly that value, so that TransformerLens
        must be asked.

    Raises:
        UnsupportedHookPoint: the SAE names no hook point, or one in a layer or module that the
            model does not have.
    """
    if not settings.hook_name:
        raise UnsupportedHookPoint(
            "the SAE's metadata do not say where it reads; add metadata.hook_name to its cfg.json"
        )
    if settings.module_path is not None:
        found = _module_side(model, settings.module_path)
        if found is not None:
            return found
    block_hook = _BLOCK_HOOK.fullmatch(settings.hook_name)
    if block_hook is not None and not settings.plain_transformers:
        return _in_block(model, int(block_hook[1]), block_hook[2], settings)
    found = _module_side(model, settings.hook_name)
    if found is None and (settings.plain_transformers or "hook_" not in settings.hook_name):
        raise unsupported(model, settings.hook_name)
    return found


def unsupported(model: PreTrainedModel, hook_name: str) -> UnsupportedHookPoint:
    """The error for a hook point that `model` does not have, with the nearest that it has."""
    known = list(_known_names(model, hook_name))
    nearest = difflib.get_close_matches(hook_name, known, n=4, cutoff=0.5)
    hint = f"the nearest that it has: {', '.join(nearest)}" if nearest else "none is similar"
    return UnsupportedHookPoint(
        f"the model has no hook point {hook_name} ({_layer_count(model)} layers, numbered from 0); "
        f"{hint}; check that model and SAE belong together"
    )


def _in_block(
    model: PreTrainedModel, layer: int, tail: str, settings: SaeSettings
) -> HookPoint | None:
    if layer >= _layer_count(model):
        raise unsupported(model, settings.hook_name)
    layers = _layers_path(model)
    if layers is None or settings.processing & _CHANGED_BY.get(tail, set()):
        return None
    places = {"hook_resid_pre": ("", "input"), "hook_resid_post": ("", "output")}
    block = _FAMILIES.get(_text_config(model).model_type)
    if block is not None:
        places |= _places(block, parallel=_is_parallel(model))
    if tail not in places:
        return None
    part, side = places[tail]
    path = f"{layers}.{layer}.{part}".rstrip(".")
    centering = "center_writing_weights" in settings.processing and tail in _WRITES_RESIDUAL
    return HookPoint(
        path=path,
        side=cast(Side, side),
        normalized=tail.endswith("hook_normalized"),
        # Models with RMS norms cannot be centred, and TransformerLens leaves them alone.
        centered=centering and _has_layer_norms(model),
        split_heads=tail == "attn.hook_z",
    )


def _places(block: _Block, *, parallel: bool) -> dict[str, tuple[str, str]]:
    """Module and side of each hook point within a block."""
    places = {
        "hook_attn_out": (block.attention_post or block.attention, "output"),
        "hook_mlp_out": (block.mlp_post or block.mlp, "output"),
        "attn.hook_z": (block.projection, "input"),
        "mlp.hook_in": (block.mlp, "input"),
        "mlp.hook_post": (block.mlp_projection, "input"),
        "ln1.hook_normalized": (block.attention_norm, "input"),
        "ln2.hook_normalized": (block.mlp_norm, "input"),
    }
    if not parallel:
        # Where attention and MLP run side by side nothing lies between them.
        places["hook_resid_mid"] = places["hook_mlp_in"] = (block.mlp_norm, "input")
    return places


def _module_side(model: PreTrainedModel, name: str) -> HookPoint | None:
    """A module path, with `.input` or `.output` behind it or nothing, which means output."""
    modules = dict(model.named_modules())
    path, _, last = name.rpartition(".")
    side: Side = "input" if last == "input" else "output"
    stem = path if last in ("input", "output") and name not in modules else name
    if stem in modules and stem:
        return HookPoint(stem, side)
    # The text half of a multimodal model lies deeper than in the text-only one.
    layers = _layers_path(model)
    deeper = re.sub(r"^.*?layers(?=\.\d)", layers or "", stem)
    return HookPoint(deeper, side) if deeper in modules and deeper else None


def _known_names(model: PreTrainedModel, hook_name: str) -> Iterator[str]:
    wanted = _BLOCK_HOOK.fullmatch(hook_name)
    if wanted is None:
        names = [name for name, _ in model.named_modules() if name]
        yield from [name for name in names if _depth(name) == _depth(hook_name)] or names
        return
    layer = min(int(wanted[1]), _layer_count(model) - 1)
    block = _FAMILIES.get(_text_config(model).model_type)
    inner = _places(block, parallel=_is_parallel(model)) if block else {}
    for tail in ("hook_resid_pre", "hook_resid_post", *inner):
        yield f"blocks.{layer}.{tail}"


def _layers_path(model: PreTrainedModel) -> str | None:
    count = _layer_count(model)
    paths = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module) == count
        and "vision" not in name
        and "audio" not in name
    ]
    return min(paths, key=_depth, default=None)


def _depth(path: str) -> int:
    return path.count(".")


def _layer_count(model: PreTrainedModel) -> int:
    return int(_text_config(model).num_hidden_layers)


def _is_parallel(model: PreTrainedModel) -> bool:
    return bool(getattr(_text_config(model), "use_parallel_residual", False))


def _has_layer_norms(model: PreTrainedModel) -> bool:
    return any(isinstance(module, nn.LayerNorm) for module in model.modules())


def _text_config(model: PreTrainedModel) -> PreTrainedConfig:
    return model.config.get_text_config()
