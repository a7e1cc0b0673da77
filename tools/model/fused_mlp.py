"""GPT-2's first half of an MLP, projection and GELU, as one oneDNN operation.

A tenth of a harvest on a CPU; the result moves by 5e-7, and a row's does not depend on the batch.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (transformers and torch.ops are typed too loosely for strict checking.)

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

_PARTS = ("c_fc", "act")
"""What becomes one operation: the projection, and the activation behind it."""


class FusedProjection(nn.Module):
    """A Conv1D with the tanh GELU behind it; its parameters are the Conv1D's own."""

    def __init__(self, projection: Conv1D) -> None:
        """Share the weights of `projection`, which must be float32 on a CPU."""
        super().__init__()
        self.weight = projection.weight
        self.bias = projection.bias

    def forward(self, hidden: Tensor) -> Tensor:
        """From shape (..., width) to (..., inner width)."""
        fused = torch.ops.mkldnn._linear_pointwise
        return fused(hidden, self.weight.t(), self.bias, "gelu", [], "tanh")


def fuse_mlps(model: PreTrainedModel, hook_path: str) -> None:
    """Fuse every GPT-2 MLP of `model`, but for one that is read at `hook_path` between the two.

    Does nothing where oneDNN or its operation is missing, or for other devices and types.
    """
    if model.device.type != "cpu" or model.dtype != torch.float32:
        return
    if not torch.backends.mkldnn.is_available() or not _is_there():
        return
    for path, module in list(model.named_modules()):
        projection, activation = getattr(module, "c_fc", None), getattr(module, "act", None)
        if not isinstance(projection, Conv1D) or not _is_tanh_gelu(activation):
            continue
        if hook_path not in [f"{path}.{part}" for part in _PARTS]:
            module.c_fc = FusedProjection(projection)
            module.act = nn.Identity()


def splits_mlp(hook_path: str) -> bool:
    """Whether `fuse_mlps` leaves an MLP alone on account of what is read at `hook_path`."""
    return hook_path.rpartition(".")[2] in _PARTS


def _is_there() -> bool:
    # What torch.compile itself uses: not promised to users, so a later torch may lack it.
    return hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _is_tanh_gelu(module: object) -> bool:
    if isinstance(module, nn.GELU):
        return module.approximate == "tanh"
    return type(module).__name__ == "GELUTanh"
