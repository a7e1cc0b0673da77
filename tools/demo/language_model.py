"""The demo's language model: a small GPT-2, trained, saved in half precision and measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from tools.demo.text import BOS_ID, Hyperparameters, cut_windows, endless_batches, slices

HELD_OUT_GLANCE = 80
"""Held-out windows that show how the training goes; the card's figure is over all."""


def new_model(hp: Hyperparameters) -> GPT2LMHeadModel:
    """Builds an untrained model.

    Args:
        hp: Gives the shape.

    Returns:
        A float32 GPT-2 without dropout, its embedding tied to its output.
    """
    config = GPT2Config(
        vocab_size=hp.vocab_size,
        n_positions=hp.n_positions,
        n_embd=hp.d_model,
        n_layer=hp.n_layers,
        n_head=hp.n_heads,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=BOS_ID,
        eos_token_id=BOS_ID,
        use_cache=True,
    )
    return GPT2LMHeadModel(config)


def build_optimizers(model: GPT2LMHeadModel, hp: Hyperparameters) -> list[torch.optim.Optimizer]:
    """Builds Muon for the blocks' matrices and AdamW for everything else.

    Muon gets further than AdamW alone within the few thousand steps that two
    CPU cores allow.

    Args:
        model: The model to train.
        hp: Gives the rates.

    Returns:
        Both optimizers.
    """
    matrices = [p for p in model.transformer.h.parameters() if p.ndim == 2]
    taken = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in taken]
    muon = torch.optim.Muon(
        matrices,
        lr=hp.lm_matrix_lr,
        weight_decay=hp.lm_weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    adamw = torch.optim.AdamW(
        others, lr=hp.lm_other_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True
    )
    return [muon, adamw]


def warmup_stable_decay(step: int, steps: int, hp: Hyperparameters) -> float:
    """Scales the learning rates: linear warm-up, constant, linear decay to zero.

    Unlike a cosine's, the steps before the decay do not depend on how many
    there will be, so that a run can be made longer or shorter as it goes.

    Args:
        step: Steps done.
        steps: Steps in all.
        hp: Gives the shares of the warm-up and the decay.

    Returns:
        The factor for the peak rates.
    """
    rise = (step + 1) / hp.lm_warmup_steps
    fall = (steps - step) / max(1.0, steps * hp.lm_decay)
    return max(0.0, min(1.0, rise, fall))


def next_token_loss(logits: Tensor, ids: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of every token after the first.

    Args:
        logits: (batch, positions, vocabulary).
        ids: (batch, positions).

    Returns:
        A scalar.
    """
    return cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


@torch.no_grad()
def mean_loss(model: GPT2LMHeadModel, windows: Tensor, batch: int = 16) -> float:
    """Measures the mean next-token loss over windows.

    Args:
        model: A causal LM.
        windows: Token ids, one window per row.
        batch: Windows per forward pass.

    Returns:
        Nats per token.
    """
    model.eval()
    total = 0.0
    for rows in slices(windows, batch):
        total += float(next_token_loss(model(rows).logits, rows)) * len(rows)
    return total / len(windows)


def save_half(model: GPT2LMHeadModel, directory: Path) -> None:
    """Saves the weights rounded to float16, leaving the model as it is.

    Args:
        model: The model.
        directory: Where to.
    """
    halved = GPT2LMHeadModel(model.config)
    halved.load_state_dict(model.state_dict())
    halved.half().save_pretrained(directory)


def load_model(directory: Path) -> GPT2LMHeadModel:
    """Loads the saved model in float32.

    Args:
        directory: Where it was saved.

    Returns:
        The model, in evaluation mode.
    """
    model: Any = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    return model.eval()


def load_tokenizer(directory: Path) -> PreTrainedTokenizerFast:
    """Loads the saved tokenizer.

    Args:
        directory: Where it was saved.

    Returns:
        The tokenizer.
    """
    return cast(Any, AutoTokenizer).from_pretrained(directory)


class LMTraining:
    """The state of the LM's training, which can be stopped and taken up again."""

    def __init__(self, hp: Hyperparameters, train: Tensor, checkpoint: Path) -> None:
        """Starts at the first step, or where a checkpoint left off.

        Args:
            hp: The recipe.
            train: Training token stream.
            checkpoint: File of the checkpoint, which need not exist.
        """
        self.hp = hp
        self.steps = hp.lm_tokens // (hp.lm_batch * hp.n_positions)
        self.model = new_model(hp)
        self.optimizers = build_optimizers(self.model, hp)
        self.peaks = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]
        self.batches = endless_batches(train, hp.n_positions, hp.lm_batch, hp.seed)
        self.checkpoint = checkpoint
        self.step = 0
        if checkpoint.exists():
            self.load()

    def load(self) -> None:
        """Takes the checkpoint up, passing over the batches it has seen."""
        state = torch.load(self.checkpoint)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        while self.step < state["step"]:
            next(self.batches)
            self.step += 1

    def save(self) -> None:
        """Writes the checkpoint; an interrupted write leaves the earlier one whole."""
        part = self.checkpoint.with_suffix(".part")
        optimizers = [optimizer.state_dict() for optimizer in self.optimizers]
        state = {"step": self.step, "model": self.model.state_dict(), "optimizers": optimizers}
        torch.save(state, part)
        part.replace(self.checkpoint)

    def advance(self) -> float:
        """Does one step.

        Returns:
            The batch's loss before it.
        """
        factor = warmup_stable_decay(self.step, self.steps, self.hp)
        self.model.train()
        ids = next(self.batches)
        loss = next_token_loss(self.model(ids, use_cache=False).logits, ids)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.hp.lm_clip)
        for optimizer, peak in zip(self.optimizers, self.peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return loss.item()


def train_lm(training: LMTraining, held_out: Tensor, directory: Path) -> None:
    """Trains the LM to its last step, saving it every so many.

    Args:
        training: Where the training stands.
        held_out: Held-out windows.
        directory: Where to save the model.
    """
    bar = tqdm(initial=training.step, total=training.steps, desc="LM", mininterval=5)
    while training.step < training.steps:
        loss = training.advance()
        bar.update()
        bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        if training.step % training.hp.lm_save_steps == 0 or training.step == training.steps:
            training.save()
            save_half(training.model, directory)
            measured = mean_loss(training.model, held_out[:HELD_OUT_GLANCE])
            tqdm.write(f"step {training.step}: held-out loss {measured:.4f}")


def unigram_entropy(train: Tensor, held_out: Tensor, vocab_size: int) -> float:
    """Measures the loss of a model that knows only how common each token is.

    Args:
        train: Token ids that give the frequencies, each counted once more.
        held_out: Token ids that it predicts.
        vocab_size: Size of the vocabulary.

    Returns:
        Nats per token.
    """
    counts = torch.bincount(train, minlength=vocab_size) + 1.0
    return float(-(counts / counts.sum()).log()[held_out].mean())


def measure_lm(
    model: GPT2LMHeadModel, train: Tensor, held_out: Tensor, n_bytes: int
) -> dict[str, float]:
    """Measures the LM on held-out text.

    Args:
        model: The LM.
        train: Training token stream.
        held_out: Held-out token stream.
        n_bytes: Length of the held-out text.

    Returns:
        Figures by name.
    """
    loss = mean_loss(model, cut_windows(held_out, model.config.n_positions))
    return {
        "held_out_tokens": len(held_out),
        "loss": loss,
        "perplexity": math.exp(loss),
        "bits_per_byte": loss / math.log(2) * len(held_out) / n_bytes,
        "unigram_loss": unigram_entropy(train, held_out, model.config.vocab_size),
    }
