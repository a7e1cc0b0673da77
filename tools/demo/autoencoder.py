"""The demo's sparse autoencoder, trained with sae-lens' own trainer and measured."""

from __future__ import annotations

import copy
import platform
from collections.abc import Callable, Iterator
from typing import Any

import torch
from sae_lens import SAE, TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.config import SAETrainerConfig
from sae_lens.saes.sae import SAEMetadata
from sae_lens.training.sae_trainer import SAETrainer
from torch import Tensor, nn
from tqdm import tqdm
from transformers import GPT2LMHeadModel, GPT2Model

from tools.demo.language_model import mean_loss
from tools.demo.text import BOS_ID, Hyperparameters, cut_windows, endless_batches, slices

MODEL_NAME = "saesage-demo-gpt2"


def residual_reader(model: GPT2LMHeadModel, layer: int) -> GPT2Model:
    """Cuts a model off after one block.

    Args:
        model: The whole model, left as it is.
        layer: The last block that still runs.

    Returns:
        A model whose ``last_hidden_state`` is the residual stream after it.
    """
    reader = copy.deepcopy(model.transformer)
    reader.h = reader.h[: layer + 1]
    reader.add_module("ln_f", nn.Identity())
    return reader.eval()


@torch.no_grad()
def residuals(reader: GPT2Model, windows: Tensor, batch: int = 64) -> Tensor:
    """Reads the residual stream at every position that is not BOS.

    Args:
        reader: The cut-off model.
        windows: Token ids, one window per row.
        batch: Windows per forward pass.

    Returns:
        (positions, width).
    """
    rows = [
        reader(ids, use_cache=False).last_hidden_state[ids != BOS_ID]
        for ids in slices(windows, batch)
    ]
    return torch.cat(rows)


def residual_chunks(reader: GPT2Model, stream: Tensor, hp: Hyperparameters) -> Iterator[Tensor]:
    """Yields residual activations without end.

    The chunks are half the shuffling buffer long, since the buffer is copied
    whenever one is added.

    Args:
        reader: The cut-off model.
        stream: Token ids.
        hp: Gives the window and the buffer.

    Yields:
        (positions, width).
    """
    n_windows = hp.sae_buffer // 2 // hp.context_size
    # Another order than the LM's, so that no window is met in the same company.
    for windows in endless_batches(stream, hp.context_size, n_windows, hp.seed + 1):
        yield residuals(reader, windows)


def sae_metadata(hp: Hyperparameters) -> SAEMetadata:
    """Describes the SAE in sae-lens' terms.

    Args:
        hp: The recipe.

    Returns:
        What a reader of the SAE needs to feed it as it was trained.
    """
    return SAEMetadata(
        model_name=MODEL_NAME,
        hook_name=hp.hook_name,
        hook_head_index=None,
        context_size=hp.context_size,
        prepend_bos=True,
        exclude_special_tokens=True,
        dataset=f"standard library of Python {platform.python_version()}: modules, pydoc topics",
        training_tokens=hp.sae_tokens,
        seed=hp.seed,
    )


def train_sae(batches: Iterator[Tensor], hp: Hyperparameters) -> TopKTrainingSAE:
    """Trains a TopK SAE with sae-lens' trainer.

    Args:
        batches: Shuffled activations, (sae_batch, d_model) each.
        hp: The recipe.

    Returns:
        The trained SAE, its input scale folded into its weights.
    """
    config = TopKTrainingSAEConfig(
        d_in=hp.d_model,
        d_sae=hp.d_sae,
        k=hp.k,
        normalize_activations="expected_average_only_in",
        metadata=sae_metadata(hp),
    )
    sae = TopKTrainingSAE(config)
    steps = hp.sae_tokens // hp.sae_batch
    trainer_config = SAETrainerConfig(
        total_training_samples=hp.sae_tokens,
        train_batch_size_samples=hp.sae_batch,
        lr=hp.sae_lr,
        # Where the decay starts from; sae-lens' default would first drop to a tenth.
        lr_end=hp.sae_lr,
        lr_warm_up_steps=steps // 50,
        lr_decay_steps=steps // 3,
        dead_feature_window=hp.sae_dead_window,
    )
    trainer: SAETrainer[TopKTrainingSAE, TopKTrainingSAEConfig] = SAETrainer(
        cfg=trainer_config, sae=sae, data_provider=batches
    )
    sample = torch.cat([next(batches) for _ in range(8)])
    norms = sample.pow(2).sum(dim=-1).sqrt()
    scale = hp.d_model**0.5 / float(norms.mean())
    trainer.activation_scaler.scaling_factor = scale
    # From zero, Adam would need thousands of steps to reach the few large means.
    sae.b_dec.data.copy_(sample.mean(dim=0) * scale)
    return trainer.fit()


@torch.no_grad()
def reconstruction_figures(sae: SAE[Any], activations: Tensor) -> dict[str, float]:
    """Measures how well and how sparsely the SAE rebuilds activations.

    Args:
        sae: A loaded SAE.
        activations: (positions, width).

    Returns:
        The fraction of variance unexplained, and the mean count of latents used.
    """
    unexplained, active = 0.0, 0
    for rows in slices(activations, 4096):
        latents = sae.encode(rows)
        unexplained += float((sae.decode(latents) - rows).pow(2).sum())
        active += int((latents > 0).sum())
    variance = float((activations - activations.mean(dim=0)).pow(2).sum())
    return {"fvu": unexplained / variance, "l0": active / len(activations)}


@torch.no_grad()
def count_firings(sae: SAE[Any], chunks: Iterator[Tensor], positions: int) -> tuple[Tensor, int]:
    """Counts where each latent fires.

    Args:
        sae: A loaded SAE.
        chunks: Activations.
        positions: Least number of positions to look at.

    Returns:
        Firings per latent, and the positions looked at.
    """
    fired, seen = torch.zeros(sae.cfg.d_sae, dtype=torch.long), 0
    with tqdm(total=positions, desc="census", mininterval=5) as bar:
        while seen < positions:
            for rows in slices(next(chunks), 4096):
                fired += (sae.encode(rows) > 0).sum(dim=0)
                seen += len(rows)
                bar.update(len(rows))
    return fired, seen


def spliced_loss(
    model: GPT2LMHeadModel, layer: int, windows: Tensor, replace: Callable[[Tensor], Tensor]
) -> float:
    """Measures the loss with the residual stream after one block replaced.

    Args:
        model: The LM.
        layer: The block.
        windows: Token ids, one window per row; BOS, at its start, is left alone.
        replace: Gives the new activations.

    Returns:
        Nats per token.
    """

    def splice(_module: nn.Module, _args: Any, output: Tensor) -> Tensor:
        return torch.cat([output[:, :1], replace(output[:, 1:])], dim=1)

    handle = model.transformer.h[layer].register_forward_hook(splice)
    try:
        return mean_loss(model, windows)
    finally:
        handle.remove()


def measure_sae(
    model: GPT2LMHeadModel, sae: SAE[Any], train: Tensor, held_out: Tensor, hp: Hyperparameters
) -> dict[str, float]:
    """Measures the SAE on held-out text, and its dead latents on all text.

    Args:
        model: The LM.
        sae: The SAE, as loaded from its files.
        train: Training token stream.
        held_out: Held-out token stream.
        hp: The recipe.

    Returns:
        Figures by name.
    """
    layer = hp.hook_layer
    reader = residual_reader(model, layer)
    windows = cut_windows(held_out, hp.context_size)
    activations = residuals(reader, windows)
    figures = reconstruction_figures(sae, activations)
    held_out_fired, held_out_seen = count_firings(sae, iter([activations]), len(activations))
    fired, seen = count_firings(sae, residual_chunks(reader, train, hp), hp.census_tokens)
    mean = activations.mean(dim=0)
    return figures | {
        "sae_held_out_positions": len(activations),
        "census_positions": seen + held_out_seen,
        "dead_share": float((fired + held_out_fired == 0).float().mean()),
        "dense_share": float((fired > 0.1 * seen).float().mean()),
        "loss_clean": mean_loss(model, windows),
        "loss_spliced": spliced_loss(model, layer, windows, sae),
        "loss_mean_ablated": spliced_loss(model, layer, windows, mean.expand_as),
        "loss_zero_ablated": spliced_loss(model, layer, windows, torch.zeros_like),
    }
