"""Reads hook points that only TransformerLens knows, through its bridge."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (TransformerLens' bridge is typed too loosely for strict checking.)

from __future__ import annotations

import re
from collections.abc import Set
from typing import ClassVar

from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tools.errors import UnsupportedHookPoint
from tools.model.hook_points import unsupported
from tools.model.hub import quiet_libraries
from tools.model.readers import flatten_heads
from tools.model.sae_settings import SaeSettings

_LAYER = re.compile(r"\.(\d+)(?:\.|$)")


class BridgeReader:
    """TransformerLens' bridge around the model, stopped behind the layer of the hook point."""

    concurrent: ClassVar[bool] = False
    """The bridge's hooks are its own state."""

    def __init__(
        self,
        name: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: SaeSettings,
    ) -> None:
        """Wrap `model`, which belongs to the bridge from now on.

        Raises:
            UnsupportedHookPoint: TransformerLens does not know the architecture or hook point.
        """
        self._hook_name = settings.hook_name
        self._head = settings.head
        layer = _LAYER.search(settings.hook_name)
        self._stop_at = int(layer[1]) + 1 if layer else None
        model.set_attn_implementation("eager")
        with quiet_libraries():
            try:
                self._bridge = TransformerBridge.boot_transformers(
                    name,
                    hf_model=model,
                    tokenizer=tokenizer,
                    device=str(model.device),
                    dtype=model.dtype,
                )
                _process(self._bridge, settings.processing)
                if settings.hook_name.endswith("hook_mlp_in"):
                    self._bridge.set_use_hook_mlp_in(True)
            except (ValueError, KeyError, RuntimeError, NotImplementedError) as error:
                raise UnsupportedHookPoint(
                    f"hook point {settings.hook_name} needs TransformerLens, which cannot take "
                    f"this model ({error}); use an SAE on the residual stream"
                ) from error
        self._model = model

    def read(self, token_ids: Tensor) -> Tensor:
        """See `Reader`."""
        _, cache = self._bridge.run_with_cache(
            token_ids,
            names_filter=[self._hook_name],
            stop_at_layer=self._stop_at,
            return_cache_object=False,
        )
        values = list(cache.values())
        if not values:
            raise unsupported(self._model, self._hook_name)
        return flatten_heads(values[-1], self._head)


def _process(bridge: TransformerBridge, processing: Set[str]) -> None:
    """Process the weights as the SAE's language model had them, and not otherwise."""
    if processing:
        bridge.enable_compatibility_mode(
            disable_warnings=True,
            fold_ln="fold_ln" in processing,
            center_writing_weights="center_writing_weights" in processing,
            center_unembed=False,
            fold_value_biases="fold_value_biases" in processing,
            refactor_factored_attn_matrices="refactor_factored_attn_matrices" in processing,
        )
