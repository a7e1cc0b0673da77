"""From activations at the hook point to the activations of chosen SAE features."""

# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# (sae-lens ships no type information.)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import torch
from sae_lens import (
    SAE,
    GatedSAE,
    JumpReLUSAE,
    JumpReLUSkipTranscoder,
    JumpReLUTranscoder,
    SkipTranscoder,
    StandardSAE,
    TemporalSAE,
    Transcoder,
)
from torch import Tensor, nn

_FULL_ENCODE_FLOATS = 2**26
"""Most numbers that a full encode holds at once (256 MB as float32)."""

_COLUMNS: dict[type, tuple[str, ...]] = {
    StandardSAE: ("b_enc",),
    Transcoder: ("b_enc",),
    SkipTranscoder: ("b_enc",),
    JumpReLUSAE: ("b_enc", "threshold"),
    JumpReLUTranscoder: ("b_enc", "threshold"),
    JumpReLUSkipTranscoder: ("b_enc", "threshold"),
    GatedSAE: ("b_gate", "b_mag", "r_mag"),
}
"""Architectures whose latents do not depend on one another, with their per-latent vectors.

Looked up by exact class: a subclass may encode in another way.
"""


class Encoder(Protocol):
    """The encoding half of an SAE, for chosen features."""

    def encode(self, hidden: Tensor, keep: Tensor, features: Sequence[int]) -> Tensor:
        """Activations of `features` on the tokens to keep.

        Args:
            hidden: what the model gives at the hook point, shape (texts, tokens, d_in),
                right-padded.
            keep: which tokens are wanted, boolean of shape (texts, tokens).
            features: feature ids; the columns of the result.

        Returns:
            Shape (n_kept, n_features), in the SAE's dtype, text by text.
        """
        ...


def build_encoder(sae: SAE[Any]) -> Encoder:
    """The cheapest exact encoder for the architecture of `sae`."""
    if isinstance(sae, TemporalSAE):
        return SequenceEncoder(sae)
    if type(sae) in _COLUMNS and isinstance(sae.activation_fn, nn.ReLU):
        return ColumnEncoder(sae)
    return FullEncoder(sae)


class ColumnEncoder:
    """Computes only the encoder columns that are asked for."""

    def __init__(self, sae: SAE[Any]) -> None:
        """Take `sae`, whose class must be one of those whose latents are independent."""
        self._sae = sae
        self._vector_names = _COLUMNS[type(sae)]
        self._selected: tuple[int, ...] | None = None
        self._columns: tuple[Tensor, ...] = ()

    def encode(self, hidden: Tensor, keep: Tensor, features: Sequence[int]) -> Tensor:
        """See `Encoder`."""
        weights, *vectors = self._select(tuple(features))
        # sae-lens' own input step: dtype, run-time normalisation, decoder bias.
        inputs = self._sae.process_sae_in(hidden[keep])
        if len(vectors) == 1:
            return torch.relu(inputs @ weights + vectors[0])
        if len(vectors) == 2:
            return _jump_relu(inputs @ weights + vectors[0], vectors[1])
        return _gated(inputs, weights, *vectors)

    def _select(self, features: tuple[int, ...]) -> tuple[Tensor, ...]:
        # Batch after batch asks for the same features: copy their columns once.
        if features != self._selected:
            index = torch.tensor(features, dtype=torch.long, device=self._sae.W_enc.device)
            vectors = [cast(Tensor, getattr(self._sae, name)) for name in self._vector_names]
            self._columns = (
                self._sae.W_enc.index_select(1, index),
                *(vector[index] for vector in vectors),
            )
            self._selected = features
        return self._columns


class FullEncoder:
    """sae-lens' own encode over all latents, then the columns asked for.

    Needed where latents compete (TopK and its kin) and safe for architectures not known here.
    """

    def __init__(self, sae: SAE[Any]) -> None:
        """Take `sae`, which must encode each token on its own."""
        self._sae = sae
        self._chunk = max(1, _FULL_ENCODE_FLOATS // int(sae.cfg.d_sae))

    def encode(self, hidden: Tensor, keep: Tensor, features: Sequence[int]) -> Tensor:
        """See `Encoder`."""
        tokens = hidden[keep]
        index = torch.tensor(list(features), dtype=torch.long, device=tokens.device)
        chunks = cast(tuple[Tensor, ...], tokens.split(self._chunk))
        parts = [_pick(self._sae.encode(chunk), index) for chunk in chunks]
        return torch.cat(parts)


class SequenceEncoder:
    """sae-lens' own encode over whole texts, for SAEs that look back at earlier tokens."""

    def __init__(self, sae: SAE[Any]) -> None:
        """Take `sae`, which must be causal: padding on the right does not reach what is kept."""
        self._sae = sae

    def encode(self, hidden: Tensor, keep: Tensor, features: Sequence[int]) -> Tensor:
        """See `Encoder`."""
        index = torch.tensor(list(features), dtype=torch.long, device=hidden.device)
        rows = [
            _pick(self._sae.encode(text[None])[0], index)[kept]
            for text, kept in zip(hidden, keep, strict=True)
        ]
        return torch.cat(rows)


def _pick(latents: Tensor, index: Tensor) -> Tensor:
    dense = latents.to_dense() if latents.is_sparse else latents
    return dense.index_select(-1, index)


def _jump_relu(before: Tensor, threshold: Tensor) -> Tensor:
    return torch.relu(before) * (before > threshold)


def _gated(
    inputs: Tensor, weights: Tensor, gate_bias: Tensor, bias: Tensor, log_gain: Tensor
) -> Tensor:
    opened = inputs @ weights + gate_bias > 0
    return opened * torch.relu(inputs @ (weights * log_gain.exp()) + bias)
