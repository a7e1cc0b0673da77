"""Tiny random language models and SAEs, saved in the hubs' own formats."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from sae_lens.registry import get_sae_class, get_sae_training_class
from sae_lens.saes.sae import SAEMetadata
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 320
CONTEXT = 64
WIDTH = 32
LAYERS = 3
HEADS = 4

CORPUS = (
    "def add(first, second): return first + second",
    "The quick brown fox jumps over the lazy dog, and then it sleeps.",
    "import os\n\nclass Reader:\n    def read(self, name):\n        return open(name)",
    "Ünïcödé is fine: naïve café, 漢字, 42 + 1 = 43.",
)

TEXTS = ("def add(x): return x", "The fox", "café 漢字 and then\n\tit sleeps, 42 times over")

_LLAMA_LIKE = {
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": CONTEXT,
}

_CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": CONTEXT},
    "gpt_neox": {
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "max_position_embeddings": CONTEXT,
    },
    "llama": _LLAMA_LIKE,
    "mistral": {**_LLAMA_LIKE, "sliding_window": None},
    "qwen2": _LLAMA_LIKE,
    "qwen3": _LLAMA_LIKE,
    "gemma": _LLAMA_LIKE,
    "gemma2": {**_LLAMA_LIKE, "query_pre_attn_scalar": 8, "sliding_window": 8},
    "gemma3_text": {**_LLAMA_LIKE, "query_pre_attn_scalar": 8, "sliding_window": 8},
    "gptj": {
        "n_embd": WIDTH,
        "n_layer": LAYERS,
        "n_head": HEADS,
        "n_positions": CONTEXT,
        "rotary_dim": 4,
    },
}


@contextmanager
def one_thread() -> Generator[None]:
    """Within, torch computes in one thread: on tiny tensors more only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def make_tokenizer(kind: str = "byte", special: str | None = "<|endoftext|>") -> Any:
    """A small tokenizer trained on `CORPUS`.

    Args:
        kind: `byte` (GPT-2's kind), `sentencepiece` (Llama's, with byte fallback) or `wordpiece`.
        special: the token that begins and ends a text; None: there is no such token.
    """
    specials = [special] if special else []
    if kind == "byte":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    elif kind == "sentencepiece":
        tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
        tokenizer.decoder = decoders.Sequence(
            [
                decoders.Replace("▁", " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(" ", 1, 0),
            ]
        )
        fallback = [f"<0x{byte:02X}>" for byte in range(256)]
        trainer = trainers.BpeTrainer(
            vocab_size=VOCABULARY + 100,
            special_tokens=["<unk>", *specials, *fallback],
            limit_alphabet=40,
            show_progress=False,
        )
    else:
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+|\S"), "removed", invert=True)
        tokenizer.decoder = decoders.WordPiece(cleanup=False)
        trainer = trainers.WordPieceTrainer(
            vocab_size=VOCABULARY, special_tokens=["[UNK]", *specials], show_progress=False
        )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=special, eos_token=special)


def make_model_dir(
    path: Path,
    architecture: str = "gpt2",
    *,
    seed: int = 0,
    tokenizer: Any = None,
    **overrides: Any,
) -> Path:
    """A tiny random model with its tokenizer, as `save_pretrained` writes them.

    Args:
        path: the directory to write.
        architecture: a key of the table above, in transformers' words.
        seed: of the weights, all of which are random: norms and biases too.
        tokenizer: None for a byte-level one.
        overrides: further settings of the model's config.
    """
    tokenizer = tokenizer or make_tokenizer()
    settings = {"vocab_size": len(tokenizer), **_CONFIGS[architecture], **overrides}
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = AutoConfig.for_model(architecture, pad_token_id=None, **ids, **settings)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 0.5 if parameter.ndim > 1 else 0.2
            middle = 1.0 if parameter.ndim == 1 and "norm" in name and "bias" not in name else 0.0
            width = parameter.shape[-1] ** 0.5 if parameter.ndim > 1 else 1.0
            nn.init.normal_(parameter, middle, scale / width * 2)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def make_sae(
    d_in: int,
    d_sae: int,
    hook_name: str,
    architecture: str = "standard",
    *,
    seed: int = 0,
    training: bool = False,
    metadata: dict[str, Any] | None = None,
    **settings: Any,
) -> Any:
    """A random SAE of sae-lens' own class; see `make_sae_dir`."""
    classes = get_sae_training_class if training else get_sae_class
    sae_class, config_class = classes(architecture)
    if "transcoder" in architecture:
        settings = {"apply_b_dec_to_input": False, "d_out": d_in, **settings}
    if "topk" in architecture:
        settings = {"k": 12, **settings}
    described = {"hook_name": hook_name, "context_size": CONTEXT, "prepend_bos": True}
    sae: Any = sae_class(
        config_class(
            d_in=d_in,
            d_sae=d_sae,
            metadata=SAEMetadata(**described, **(metadata or {})),
            **settings,
        )
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            scale = 0.2 if parameter.ndim > 1 else 0.1
            noise = torch.randn(parameter.shape, generator=generator) * scale
            parameter.copy_(noise.abs() if name == "threshold" else noise)
    return sae


def make_sae_dir(
    path: Path,
    d_in: int = WIDTH,
    d_sae: int = 48,
    hook_name: str = "blocks.1.hook_resid_post",
    architecture: str = "standard",
    **options: Any,
) -> Path:
    """A random SAE, as sae-lens' `save_model` writes it.

    Args:
        path: the directory to write.
        d_in: width of what it reads.
        d_sae: number of latents.
        hook_name: where it reads.
        architecture: in sae-lens' words.
        options: `seed`, `metadata`, `training` (the training class) and fields of the config.
    """
    make_sae(d_in, d_sae, hook_name, architecture, **options).save_model(path)
    return path


def make_sae_with(path: Path, **metadata: Any) -> Path:
    """An SAE directory whose metadata say what is given (None: say nothing)."""
    make_sae_dir(path)
    config = json.loads((path / "cfg.json").read_text())
    for key, value in metadata.items():
        config["metadata"].pop(key, None)
        if value is not None:
            config["metadata"][key] = value
    (path / "cfg.json").write_text(json.dumps(config))
    return path


def damage(path: Path, tensor: str, index: int, value: float) -> None:
    """Overwrite one number (in every row) of one tensor of a safetensors file."""
    weights = load_file(path)
    weights[tensor][..., index] = value
    save_file(weights, path, metadata={"format": "pt"})
