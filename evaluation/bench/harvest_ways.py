"""Other ways to measure a corpus, in plain transformers and sae-lens: the bound, and its rivals.

The bound does no bookkeeping at all. The naive loop is what a first version would write; the
dense way is how tools for whole SAEs commonly do it: every activation is collected, then sorted.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# (sae-lens and transformers are typed too loosely for strict checking.)

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sae_lens import SAE
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

_TOP = 20
"""Windows that the dense way keeps of each feature."""


class _Stop(Exception):
    """Ends the forward pass at the hook point: no error."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value


def _stop(module: nn.Module, inputs: Any, output: Any) -> None:
    del module, inputs
    raise _Stop(output[0] if isinstance(output, tuple) else output)


@dataclass(frozen=True, eq=False)
class PlainWays:
    """The demo's model and SAE as the libraries load them, and a corpus cut into windows."""

    model: Any
    sae: Any
    layer: int
    """The SAE reads what this block puts out."""
    windows: Sequence[Sequence[int]]
    bos: int

    @classmethod
    def load(cls, model: Path, sae: Path, layer: int, windows: Sequence[Sequence[int]]) -> Any:
        """Load both in float32."""
        loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
        return cls(loaded, SAE.load_from_disk(sae), layer, windows, loaded.config.bos_token_id)

    def bound(self, batch: int) -> None:
        """Model cut behind the hook point and dense encode, without keeping anything."""
        for ids in self._batches(batch):
            self.sae.encode(self._hidden(ids))

    def naive(self) -> None:
        """One feature, one window at a time through the whole model; remembers the maxima."""
        maxima: list[float] = []
        for window in self.windows:
            ids = torch.tensor([[self.bos, *window]])
            states = self.model(ids, output_hidden_states=True).hidden_states
            acts = self.sae.encode(states[self.layer + 1])
            maxima.append(float(acts[0, 1:, 0].max()))
        sorted(maxima, reverse=True)

    def dense(self, batch: int) -> None:
        """Collect every activation of every feature, then sort the windows of each feature."""
        encoded = [self.sae.encode(self._hidden(ids))[:, 1:] for ids in self._batches(batch)]
        acts = torch.cat(encoded)
        for feature in range(acts.shape[-1]):
            column = acts[..., feature]
            strongest = column.amax(dim=1).argsort(descending=True)[:_TOP]
            column[strongest].clone()

    def _hidden(self, ids: Tensor) -> Tensor:
        handle = self.model.transformer.h[self.layer].register_forward_hook(_stop)
        try:
            self.model(ids, use_cache=False)
        except _Stop as stopped:
            return stopped.value
        finally:
            handle.remove()
        raise AssertionError("the model never came to the hook point")

    def _batches(self, size: int) -> Iterator[Tensor]:
        longest = max(map(len, self.windows))
        rows = [[self.bos, *ids, *[0] * (longest - len(ids))] for ids in self.windows]
        for start in range(0, len(rows), size):
            yield torch.tensor(rows[start : start + size])
