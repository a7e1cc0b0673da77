"""What features write towards the next token: decoder directions times the unembedding."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# (sae-lens and transformers are typed too loosely for strict checking.)

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from sae_lens import SAE
from torch import Tensor
from transformers import PreTrainedModel

from tools.activations import LogitEffects
from tools.model.sae_settings import SaeSettings

_RESIDUAL = re.compile(
    r"blocks\.\d+\.hook_(resid_pre|resid_mid|resid_post|attn_out|mlp_out)"
    r"|(transformer\.h|model\.layers|gpt_neox\.layers)\.\d+"
)
"""Hook points whose value is, or is added to, the residual stream."""

_FEATURES_AT_ONCE = 64
"""A row of logits is as long as the vocabulary."""


def logit_effects(
    model: PreTrainedModel,
    sae: SAE[Any],
    settings: SaeSettings,
    features: Sequence[int],
    n: int,
    vocabulary_size: int,
    surfaces: Callable[[Sequence[int]], list[str]],
) -> list[LogitEffects]:
    """See `WritingSubject.logit_effects`; ids from `vocabulary_size` on are padding."""
    unembedding = _unembedding(model)
    decoder = cast(Tensor, sae.W_dec)
    if unembedding is None or not _RESIDUAL.fullmatch(_written_to(sae, settings)):
        return []
    if decoder.shape[-1] != unembedding.shape[-1]:
        return []
    found: list[LogitEffects] = []
    with torch.inference_mode():
        for start in range(0, len(features), _FEATURES_AT_ONCE):
            chosen = list(features[start : start + _FEATURES_AT_ONCE])
            rows = decoder[chosen].to(unembedding.dtype) @ unembedding[:vocabulary_size].T
            centred = rows.float() - rows.float().mean(dim=1, keepdim=True)
            for feature, row in zip(chosen, centred, strict=True):
                top = _strongest(row, n, surfaces)
                bottom = [(token, -value) for token, value in _strongest(-row, n, surfaces)]
                found.append(LogitEffects(feature, tuple(top), tuple(bottom)))
    return found


def _unembedding(model: PreTrainedModel) -> Tensor | None:
    """Shape (vocabulary, width)."""
    head = model.get_output_embeddings()
    return None if head is None else cast(Tensor, head.weight)


def _written_to(sae: SAE[Any], settings: SaeSettings) -> str:
    """A transcoder writes elsewhere than it reads."""
    return str(sae.cfg.metadata.to_dict().get("hook_name_out") or settings.hook_name)


def _strongest(
    row: Tensor, n: int, surfaces: Callable[[Sequence[int]], list[str]]
) -> list[tuple[str, float]]:
    values, ids = row.topk(min(n, len(row)))
    return list(zip(surfaces(ids.tolist()), values.tolist(), strict=True))
