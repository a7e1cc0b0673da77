"""The demo's recipe, and its text: which documents, which are held out, how they are cut."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from tools.corpus import python_stdlib_documents

BOS = "<|endoftext|>"
BOS_ID = 0
"""The tokenizer's trainer numbers its special token first."""


@dataclass(frozen=True)
class Hyperparameters:
    """Everything that decides what the trained files hold."""

    seed: int = 0
    """Seed of the weights' initialisation and of the order of the windows."""
    held_out_share: float = 0.04
    """Share of the documents kept out of all training, chosen by their hash."""
    vocab_size: int = 4096
    """Tokens in the vocabulary, the special one included."""
    d_model: int = 192
    """Width of the residual stream."""
    n_layers: int = 4
    """Transformer blocks."""
    n_heads: int = 6
    """Attention heads per block."""
    n_positions: int = 256
    """Longest input, and the window (BOS included) that the LM trains on."""
    lm_tokens: int = 7_680_000
    """Tokens that the LM trains on; the training text is passed several times."""
    lm_batch: int = 20
    """Windows per LM step."""
    lm_matrix_lr: float = 5e-3
    """Peak learning rate of Muon, which trains the blocks' matrices."""
    lm_other_lr: float = 3e-3
    """Peak learning rate of AdamW, which trains the embeddings and the vectors."""
    lm_warmup_steps: int = 60
    """Steps over which the rates rise."""
    lm_decay: float = 0.35
    """Share of the LM's steps, at the end, over which the rates fall to zero."""
    lm_weight_decay: float = 0.1
    """Decoupled weight decay of the blocks' matrices; the rest has none."""
    lm_clip: float = 1.0
    """Largest gradient norm of an LM step."""
    lm_save_steps: int = 50
    """Steps after which the LM is saved and glanced at."""
    hook_layer: int = 2
    """Block after which the SAE reads the residual stream."""
    context_size: int = 128
    """Window (BOS included) that the SAE's activations come from."""
    d_sae: int = 1536
    """Latents of the SAE."""
    k: int = 24
    """Latents that the SAE may use for one token."""
    sae_tokens: int = 4_000_000
    """Token positions that the SAE trains on."""
    sae_batch: int = 2048
    """Token positions per SAE step."""
    sae_lr: float = 1e-3
    """Peak learning rate of the SAE's Adam."""
    sae_dead_window: int = 150
    """SAE steps without firing after which a latent joins the auxiliary loss."""
    sae_buffer: int = 262_144
    """Positions in the buffer that shuffles activations of different windows."""
    census_tokens: int = 1_000_000
    """Positions over which latents that never fire are counted."""

    @property
    def hook_name(self) -> str:
        """The SAE's place in TransformerLens' naming."""
        return f"blocks.{self.hook_layer}.hook_resid_post"


def stdlib_documents() -> list[str]:
    """Reads the installed Python's standard library.

    Returns:
        The library's own modules in path order, then pydoc's topics in name
        order, without the test suites and IDLE.
    """
    return [document.text for document in python_stdlib_documents()]


def split_documents(hp: Hyperparameters) -> tuple[list[str], list[str]]:
    """Splits the documents into training and held out.

    The split goes by each text's hash, so that one document more or less
    moves no other document to the other side.

    Returns:
        The training documents and the held-out ones.
    """
    train: list[str] = []
    held_out: list[str] = []
    seen: set[bytes] = set()
    for text in stdlib_documents():
        digest = hashlib.sha256(text.encode("utf-8")).digest()
        if not text.strip() or digest in seen:
            continue
        seen.add(digest)
        draw = int.from_bytes(digest[:8], "big") / 2**64
        (held_out if draw < hp.held_out_share else train).append(text)
    return train, held_out


def build_tokenizer(documents: list[str], hp: Hyperparameters) -> PreTrainedTokenizerFast:
    """Trains a byte-level BPE in GPT-2's manner.

    Args:
        documents: Training text.
        hp: Gives the size of the vocabulary.

    Returns:
        The tokenizer, whose one special token is BOS, EOS and unknown.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=hp.vocab_size,
        special_tokens=[BOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=BOS,
        unk_token=BOS,
        pad_token=BOS,
        model_max_length=hp.n_positions,
        clean_up_tokenization_spaces=False,
    )


def token_stream(tokenizer: PreTrainedTokenizerFast, documents: list[str]) -> Tensor:
    """Tokenizes documents into one stream, BOS before each.

    Args:
        tokenizer: The model's tokenizer.
        documents: Texts.

    Returns:
        Token ids, one-dimensional.
    """
    ids: list[int] = []
    for encoding in tokenizer.backend_tokenizer.encode_batch(documents):
        ids.append(BOS_ID)
        ids.extend(encoding.ids)
    return torch.tensor(ids, dtype=torch.long)


def slices(rows: Tensor, size: int) -> Iterator[Tensor]:
    """Cuts a tensor along its first axis.

    Args:
        rows: The tensor.
        size: Rows per slice; the last may have fewer.

    Yields:
        The slices in order.
    """
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def cut_windows(stream: Tensor, length: int, shift: int = 0) -> Tensor:
    """Cuts a token stream into windows that each begin with BOS.

    Args:
        stream: Token ids.
        length: Window length, BOS included.
        shift: Tokens passed over first, so that repeated passes cut elsewhere.

    Returns:
        Windows, one per row; a shorter rest is dropped.
    """
    body = length - 1
    n_windows = (len(stream) - shift) // body
    rows = stream[shift : shift + n_windows * body].view(n_windows, body)
    return torch.cat([torch.full((n_windows, 1), BOS_ID), rows], dim=1)


def endless_batches(stream: Tensor, length: int, batch: int, seed: int) -> Iterator[Tensor]:
    """Yields shuffled batches of windows, pass after pass, cut anew each time.

    Args:
        stream: Token ids.
        length: Window length, BOS included.
        batch: Windows per batch.
        seed: Seed of the cuts and of the order.

    Yields:
        Token ids, (batch, length).
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        shift = int(torch.randint(length - 1, (1,), generator=generator))
        windows = cut_windows(stream, length, shift)
        order = torch.randperm(len(windows), generator=generator)
        for start in range(0, len(windows) - batch + 1, batch):
            yield windows[order[start : start + batch]]
