"""From activations at the hook point to the activations of chosen SAE features."""

# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# (sae-lens ships no type information.)

from __future__ import annotations

from collections.abc import Sequence
from operator import eq
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
    TopKSAE,
    Transcoder,
)
from torch import Tensor, nn

from tools.model.fired import (
    FiredLatents,
    fired_at_most,
    fired_in_parts,
    fired_of,
    least_of_top,
)

_FULL_ENCODE_FLOATS = 2**26
"""Most numbers that a full encode holds at once (256 MB as float32)."""

_COUNTED_PER_TOKEN = 2
"""Latents of a token whose rank is counted out; for more, finding the k largest costs less."""

_TOKENS_PER_LATENT = 2
"""With less than a latent to count in so many tokens, counting costs less than leaving some out."""

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

    def fire(self, hidden: Tensor, keep: Tensor, features: Sequence[int]) -> FiredLatents:
        """What `encode` gives above zero (or not finite), without the zeros.

        Args:
            hidden: see `encode`.
            keep: see `encode`.
            features: distinct feature ids.

        Returns:
            Rows count the tokens kept, columns the features.
        """
        ...


def build_encoder(sae: SAE[Any]) -> Encoder:
    """The cheapest exact encoder for the architecture of `sae`."""
    if isinstance(sae, TemporalSAE):
        return SequenceEncoder(sae)
    if type(sae) in _COLUMNS and isinstance(sae.activation_fn, nn.ReLU):
        return ColumnEncoder(sae)
    if type(sae) is TopKSAE:
        return TopKEncoder(sae)
    return FullEncoder(sae)


class ColumnEncoder:
    """Computes only the encoder columns that are asked for."""

    def __init__(self, sae: SAE[Any]) -> None:
        """Take `sae`, whose class must be one of those whose latents are independent."""
        self._sae = sae
        self._vector_names = _COLUMNS[type(sae)]
        self._selected: tuple[tuple[int, ...], tuple[Tensor, ...]] = ((), ())

    def encode(self, hidden: Tensor, keep: Tensor, features: Sequence[int]) -> Tensor:
        """See `Encoder`."""
        return self._latents(hidden[keep], tuple(features))

    def fire(self, hidden: Tensor, keep: Tensor, features: Sequence[int]) -> FiredLatents:
        """See `Encoder`."""
        wanted = tuple(features)

        def find(tokens: Tensor) -> FiredLatents:
            return fired_of(self._latents(tokens, wanted))

        return fired_in_parts(hidden[keep], len(wanted), find)

    def _latents(self, tokens: Tensor, features: tuple[int, ...]) -> Tensor:
        weights, *vectors = self._select(features)
        # sae-lens' own input step: dtype, run-time normalisation, decoder bias.
        inputs = self._sae.process_sae_in(tokens)
        if len(vectors) == 1:
            return torch.relu(inputs @ weights + vectors[0])
        if len(vectors) == 2:
            return _jump_relu(inputs @ weights + vectors[0], vectors[1])
        return _gated(inputs, weights, *vectors)

    def _select(self, features: tuple[int, ...]) -> tuple[Tensor, ...]:
        # Batch after batch asks for the same features: copy their columns once.
        if _are_all(features, int(self._sae.cfg.d_sae)):
            # The weights themselves: a copy of a wide SAE might not fit beside it.
            vectors = [cast(Tensor, getattr(self._sae, name)) for name in self._vector_names]
            return (self._sae.W_enc, *vectors)
        selected = self._selected
        if features != selected[0]:
            index = torch.tensor(features, dtype=torch.long, device=self._sae.W_enc.device)
            vectors = [cast(Tensor, getattr(self._sae, name)) for name in self._vector_names]
            columns = self._sae.W_enc.index_select(1, index), *(each[index] for each in vectors)
            # Assigned whole: other threads may ask for other features meanwhile.
            self._selected = selected = (features, columns)
        return selected[1]


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

    def fire(self, hidden: Tensor, keep: Tensor, features: Sequence[int]) -> FiredLatents:
        """See `Encoder`."""
        tokens = hidden[keep]
        index = torch.tensor(list(features), dtype=torch.long, device=tokens.device)

        def find(chunk: Tensor) -> FiredLatents:
            return fired_of(_pick(self._sae.encode(chunk), index))

        return fired_in_parts(tokens, int(self._sae.cfg.d_sae), find)


class TopKEncoder(FullEncoder):
    """TopK SAEs: what fires is what was picked, so it need not be scattered among zeros."""

    def __init__(self, sae: TopKSAE) -> None:
        """Take `sae`, of exactly this class."""
        super().__init__(sae)
        self._topk = sae
        self._k = int(sae.cfg.k)
        rescaled = sae.cfg.rescale_acts_by_decoder_norm
        norms = cast(Tensor, sae.W_dec.detach().norm(dim=-1))
        self._scale = norms if rescaled else None

    def encode(self, hidden: Tensor, keep: Tensor, features: Sequence[int]) -> Tensor:
        """See `Encoder`."""
        tokens = hidden[keep]
        index = torch.tensor(list(features), dtype=torch.long, device=tokens.device)
        chunks = cast(tuple[Tensor, ...], tokens.split(self._chunk))
        return torch.cat([self._picked(chunk, index) for chunk in chunks])

    def _picked(self, tokens: Tensor, index: Tensor) -> Tensor:
        """Some latents, those that are not among the largest of their token at 0."""
        latents = self._latents(tokens)
        asked = self._promising(latents, torch.relu(latents[:, index]))
        rows, columns = asked.nonzero(as_tuple=True)
        if len(rows) <= _COUNTED_PER_TOKEN * len(tokens):
            values = asked[rows, columns]
            is_largest = self._outranked_by_few(latents, rows, values)
            if is_largest is not None:
                picked = torch.zeros_like(asked)
                picked[rows[is_largest], columns[is_largest]] = values[is_largest]
                return picked
        largest = torch.topk(latents, self._k, dim=-1, sorted=False).indices
        is_picked = torch.zeros_like(latents, dtype=torch.bool).scatter_(1, largest, True)
        return torch.where(is_picked[:, index], asked, 0.0)

    def _promising(self, latents: Tensor, asked: Tensor) -> Tensor:
        """`asked` without most that are not among the largest, where that saves counting."""
        if asked.device.type != "cpu":
            return asked
        if int(asked.count_nonzero()) * _TOKENS_PER_LATENT <= len(asked):
            return asked
        least = torch.from_numpy(least_of_top(latents.numpy(), self._k))
        # A NaN is below nothing, and stays.
        return asked.masked_fill(asked < least[:, None], 0.0)

    def _outranked_by_few(self, latents: Tensor, rows: Tensor, values: Tensor) -> Tensor | None:
        """Which of `values`, found in `rows`, are among the k largest; None if a tie decides."""
        # Told by what is not above: a NaN is not below it, and ranks first for torch too. In place:
        # floats are counted in a third of the time of booleans, and in float32 exactly.
        width, exact = latents.shape[1], torch.float32
        n_above = width - latents[rows].le_(values[:, None]).sum(dim=1, dtype=exact)
        is_largest = (n_above < self._k) | values.isnan()
        level = latents[rows[is_largest]].lt_(values[is_largest, None])
        is_tied = width - level.sum(dim=1, dtype=exact) > self._k
        return None if bool(is_tied.any()) else is_largest

    def fire(self, hidden: Tensor, keep: Tensor, features: Sequence[int]) -> FiredLatents:
        """See `Encoder`."""
        width = int(self._topk.cfg.d_sae)
        found = fired_in_parts(hidden[keep], width, self._find)
        if _are_all(features, width):
            return found
        column_of = torch.full((width,), -1, dtype=torch.long, device=found.columns.device)
        column_of[list(features)] = torch.arange(len(features), device=found.columns.device)
        columns = column_of[found.columns]
        asked = columns >= 0
        return FiredLatents(found.rows[asked], columns[asked], found.values[asked])

    def _find(self, tokens: Tensor) -> FiredLatents:
        return fired_at_most(self._latents(tokens), self._k)

    def _latents(self, tokens: Tensor) -> Tensor:
        # Step by step as sae-lens does it, so that the numbers are the same to the last bit.
        latents = self._topk.process_sae_in(tokens) @ self._topk.W_enc
        latents += self._topk.b_enc
        if self._scale is not None:
            latents *= self._scale
        # numpy looks at them, and takes none that gradients could be asked of.
        return latents.detach()


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

    def fire(self, hidden: Tensor, keep: Tensor, features: Sequence[int]) -> FiredLatents:
        """See `Encoder`."""
        return fired_of(self.encode(hidden, keep, features))


def _are_all(features: Sequence[int], width: int) -> bool:
    return len(features) == width and all(map(eq, features, range(width)))


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
