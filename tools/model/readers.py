"""Runs a language model up to a hook point and hands out what is there."""

# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# (transformers is typed too loosely for strict checking.)

from __future__ import annotations

from typing import Any, ClassVar, Protocol, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tools.errors import UnsupportedHookPoint
from tools.model.fused_mlp import fuse_mlps
from tools.model.hook_points import HookPoint


class Reader(Protocol):
    """A language model, seen from one hook point."""

    concurrent: ClassVar[bool]
    """Whether several threads may read at a time."""

    def read(self, token_ids: Tensor) -> Tensor:
        """Activations at the hook point.

        Args:
            token_ids: shape (texts, tokens), right-padded with any id. Nothing masks the padding:
                causal attention keeps it from reaching the tokens before it, and positions count
                from the left.

        Returns:
            Shape (texts, tokens, width).
        """
        ...


class HookReader:
    """Plain `transformers`: a hook takes the value and ends the forward pass there."""

    concurrent: ClassVar[bool] = True

    def __init__(self, model: PreTrainedModel, point: HookPoint, head: int | None) -> None:
        """Prepare `model` to be read at `point`; of its attention heads, `head` alone if given."""
        use_fused_gelu(model)
        fuse_mlps(model, point.path)
        self._model = cast(nn.Module, model)
        self._module = self._model.get_submodule(point.path)
        self._point = point
        self._head = head
        self._n_heads = int(model.config.get_text_config().num_attention_heads)

    def read(self, token_ids: Tensor) -> Tensor:
        """See `Reader`."""
        value = self._capture(token_ids)
        if self._point.normalized:
            value = _normalize(value, self._module)
        if self._point.centered:
            value = value - value.mean(dim=-1, keepdim=True)
        if self._head is not None and self._point.split_heads:
            value = value.reshape(*value.shape[:-1], self._n_heads, -1)
        return flatten_heads(value, self._head)

    def _capture(self, token_ids: Tensor) -> Tensor:
        if self._point.side == "input":
            handle = self._module.register_forward_pre_hook(_stop_before, with_kwargs=True)
        else:
            handle = self._module.register_forward_hook(_stop_after)
        try:
            self._model(input_ids=token_ids, use_cache=False)
        except _Reached as reached:
            return reached.value
        finally:
            handle.remove()
        raise UnsupportedHookPoint(
            f"the model never runs {self._point.path} on text; no activation can be read there"
        )


class _Reached(Exception):
    """Ends a forward pass at the hook point and carries out what is there: no error."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value


def _stop_before(module: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
    del module
    for value in (*positional, *named.values()):
        if isinstance(value, Tensor):
            raise _Reached(value)


def _stop_after(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
    del module, inputs
    value = cast(Any, output[0]) if isinstance(output, tuple) else output
    if isinstance(value, Tensor):
        raise _Reached(value)


def flatten_heads(value: Tensor, head: int | None) -> Tensor:
    """One head of (texts, tokens, heads, width), or all of them side by side."""
    if value.ndim < 4:
        return value
    return value[:, :, head] if head is not None else value.flatten(2)


def use_fused_gelu(model: PreTrainedModel) -> None:
    """Replace GPT-2's step-by-step tanh GELU by torch's fused one.

    A third faster on a CPU; the residual stream moves by 3e-6.
    """
    for module in model.modules():
        for name, child in module.named_children():
            if type(child).__name__ == "NewGELUActivation":
                setattr(module, name, nn.GELU(approximate="tanh"))


def _normalize(value: Tensor, norm: nn.Module) -> Tensor:
    """What a norm makes of `value` before it applies its weights, in float32."""
    value = value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    if isinstance(norm, nn.LayerNorm):
        value = value - value.mean(dim=-1, keepdim=True)
    epsilon = cast(float, getattr(norm, "eps", None) or getattr(norm, "variance_epsilon", 1e-5))
    return value * torch.rsqrt(value.pow(2).mean(dim=-1, keepdim=True) + epsilon)
