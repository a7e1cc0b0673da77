"""What an SAE's own metadata say about how the language model is to be run for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

DEFAULT_CONTEXT = 1024
"""Context in tokens where the metadata name none: what most published SAEs were trained with."""

_PROCESSING = (
    "fold_ln",
    "center_writing_weights",
    "center_unembed",
    "fold_value_biases",
    "refactor_factored_attn_matrices",
)


@dataclass(frozen=True, slots=True)
class SaeSettings:
    """How to run the language model for one SAE."""

    hook_name: str
    """Where the SAE reads (a transcoder: its input), in its authors' words."""
    module_path: str | None
    """The same place as a path into the `transformers` model, where the authors give one."""
    head: int | None
    """The attention head it reads; None: all of them side by side."""
    prepend_bos: bool
    """Whether a beginning-of-sequence token is put before each text."""
    context_size: int | None
    """Tokens per text it was trained on, special tokens included; None: not said."""
    excluded_tokens: frozenset[int]
    """Token ids left out of its training."""
    processing: frozenset[str]
    """Weight processing, in TransformerLens' words, that its language model went through."""
    plain_transformers: bool
    """Trained on a plain `transformers` model rather than through TransformerLens."""

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> SaeSettings:
        """Read sae-lens' metadata; what is missing gets sae-lens' own training default."""
        model_kwargs = cast(dict[str, Any], metadata.get("model_from_pretrained_kwargs") or {})
        excluded = metadata.get("exclude_special_tokens")
        return cls(
            hook_name=str(metadata.get("hook_name") or ""),
            module_path=metadata.get("hf_hook_name"),
            head=metadata.get("hook_head_index"),
            prepend_bos=metadata.get("prepend_bos") is not False,
            context_size=metadata.get("context_size"),
            excluded_tokens=frozenset(cast(list[int], excluded))
            if isinstance(excluded, list)
            else frozenset(),
            processing=frozenset(name for name in _PROCESSING if model_kwargs.get(name)),
            plain_transformers=metadata.get("model_class_name") == "AutoModelForCausalLM",
        )

    def context(self, model_limit: int | None) -> int:
        """Longest text in tokens: what the SAE was trained on, within what the model can take."""
        wanted = self.context_size or DEFAULT_CONTEXT
        return wanted if model_limit is None else min(wanted, model_limit)
