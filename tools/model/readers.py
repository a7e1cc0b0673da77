"""Runs a language model up to a hook point and hands out what is there."""

# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# (transformers is typed too loosely for strict checking.)

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, ClassVar, Protocol, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
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
        self.model = cast(nn.Module, model)
        self.path = point.path
        self._module = self.model.get_submodule(point.path)
        self._point = point
        self._head = head
        self._n_heads = int(model.config.get_text_config().num_attention_heads)

    def read(self, token_ids: Tensor) -> Tensor:
        """See `Reader`."""
        (value,) = read_together([self], token_ids)
        return value

    def attach(self, capture: _Capture, number: int) -> RemovableHandle:
        """Have the next forward pass hand its value at the hook point to `capture`."""

        def before(module: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
            del module
            capture.take(number, (*positional, *named.values()))

        def after(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            del module, inputs
            first = cast(Any, output[0]) if isinstance(output, tuple) else output
            capture.take(number, (first,))

        if self._point.side == "input":
            return self._module.register_forward_pre_hook(before, with_kwargs=True)
        return self._module.register_forward_hook(after)

    def finish(self, value: Tensor) -> Tensor:
        """From what the module takes or gives to what the SAE reads."""
        if self._point.normalized:
            value = _normalize(value, self._module)
        if self._point.centered:
            value = value - value.mean(dim=-1, keepdim=True)
        if self._head is not None and self._point.split_heads:
            value = value.reshape(*value.shape[:-1], self._n_heads, -1)
        return flatten_heads(value, self._head)


def read_together(readers: Sequence[HookReader], token_ids: Tensor) -> list[Tensor]:
    """What each reader reads, in one forward pass that ends at the last of the hook points.

    Args:
        readers: of one and the same model.
        token_ids: see `Reader.read`.

    Raises:
        UnsupportedHookPoint: the model never comes to one of the hook points.
    """
    capture = _Capture(len(readers))
    with ExitStack() as handles:
        for number, reader in enumerate(readers):
            handles.callback(reader.attach(capture, number).remove)
        try:
            readers[0].model(input_ids=token_ids, use_cache=False)
        except _Reached:
            return [reader.finish(capture.values[number]) for number, reader in enumerate(readers)]
    missed = next(each.path for n, each in enumerate(readers) if n not in capture.values)
    raise UnsupportedHookPoint(
        f"the model never runs {missed} on text; no activation can be read there"
    )


class _Reached(Exception):
    """Ends a forward pass at the last of its hook points: no error."""


class _Capture:
    """The values at some hook points in one forward pass, which it ends once it has them all.

    Of the thread that makes it: others may run the same model meanwhile, and meet its hooks.
    """

    def __init__(self, n_points: int) -> None:
        self.values: dict[int, Tensor] = {}
        self._n_points = n_points
        self._thread = threading.get_ident()

    def take(self, number: int, candidates: Sequence[Any]) -> None:
        """Keep the first tensor of `candidates` for point `number`, the first time it is passed."""
        if threading.get_ident() != self._thread or number in self.values:
            return
        value = next((each for each in candidates if isinstance(each, Tensor)), None)
        if value is None:
            return
        is_last = len(self.values) + 1 == self._n_points
        # The model goes on, and might write into its own tensor.
        self.values[number] = value if is_last else value.clone()
        if is_last:
            raise _Reached


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
