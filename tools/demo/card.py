"""The demo's model card, filled in from the recipe and the measured figures."""

from __future__ import annotations

import platform
from dataclasses import asdict
from pydoc_data.topics import topics
from typing import Any

from tools.demo.text import Hyperparameters

CARD = """\
# Demo subject: a small GPT-2 and its sparse autoencoder

Made by `python -m tools.demo.train`, which also measured the figures below and
wrote this card. It is a subject to try saesage on without a download or a GPU;
it is not a good language model, and nothing found in it says anything about a
large one.

## Language model (`model/`)

GPT-2's architecture with {n_layers} blocks of width {d_model}, {n_heads} heads,
{n_positions} positions and tied embeddings: {parameters:,} parameters, stored as
float16. Its own byte-level BPE has {vocab_size:,} tokens; `<|endoftext|>` is BOS and
EOS. It was trained in float32 on {lm_tokens:,} tokens ({passes:.1f} passes over
{train_tokens:,}) in windows of {n_positions} that begin with BOS, by Muon (the
blocks' matrices) and AdamW (the rest).

| on held-out documents | |
| --- | --- |
| tokens | {held_out_tokens:,} |
| loss (nats per token) | {loss:.3f} |
| perplexity per token | {perplexity:.1f} |
| bits per byte | {bits_per_byte:.3f} |
| loss of the token frequencies alone | {unigram_loss:.3f} |

## Sparse autoencoder (`sae/`)

A TopK SAE (k = {k}, {d_sae:,} latents, sae-lens' inference format) on
`{hook_name}`: the residual stream after block {hook_layer}, counted from 0. Trained by
sae-lens' trainer on {sae_tokens:,} positions of the training documents, read from the
float16 weights run in float32, in windows of {context_size} that begin with BOS;
the positions of BOS itself are left out.

| | |
| --- | --- |
| fraction of variance unexplained, {sae_held_out_positions:,} held-out positions | {fvu:.3f} |
| mean latents in use (L0), same positions | {l0:.1f} |
| latents that never fire in {census_positions:,} positions of both kinds | {dead_share:.1%} |
| latents that fire in more than a tenth of the positions | {dense_share:.1%} |
| held-out loss in windows of {context_size}, as it is | {loss_clean:.3f} |
| ... with the SAE's reconstruction spliced in | {loss_spliced:.3f} |
| ... with the mean activation in its place | {loss_mean_ablated:.3f} |
| ... with zeros in its place | {loss_zero_ablated:.3f} |

The variance is that about the mean of the held-out activations. The splices leave
the position of BOS alone.

## Training text

The standard library of Python {python}: its own modules, without test suites, IDLE
and files that a program wrote (the character tables of `encodings`, build
settings), and the {n_topics} topics of `pydoc`. {train_documents} documents were
trained on; {held_out_documents}, chosen by a hash of their text, were held out of
everything: tokenizer, model and SAE.

## Making it again

Seed {seed}. On {machine}:

| | wall time | processor time |
| --- | --- | --- |
| language model | {lm_minutes:.0f} min | {lm_processor_minutes:.0f} min |
| SAE | {sae_minutes:.0f} min | {sae_processor_minutes:.0f} min |
| figures | {measure_minutes:.0f} min | {measure_processor_minutes:.0f} min |

The tokenizer takes seconds. Another Python, PyTorch or processor gives slightly other weights.

## Licence

The weights and the tokenizer are derived from the text of Python's standard library
and its documentation, which are under the Python Software Foundation License
Version 2 (some modules carry further notices of their own, kept in Python's source).
"""


def write_card(hp: Hyperparameters, figures: dict[str, Any]) -> str:
    """Fills the model card in.

    Args:
        hp: The recipe.
        figures: What the stages measured.

    Returns:
        Markdown.
    """
    minutes = {
        name.replace("seconds", "minutes"): value / 60
        for name, value in figures.items()
        if name.endswith("_seconds")
    }
    return CARD.format(
        **asdict(hp),
        **figures,
        hook_name=hp.hook_name,
        passes=hp.lm_tokens / figures["train_tokens"],
        python=platform.python_version(),
        n_topics=len(topics),
        **minutes,
    )
