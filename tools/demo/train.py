"""Trains the demo subject: a small GPT-2 over Python's standard library, and its SAE.

Run as ``python -m tools.demo.train --out DIR``. The stages (``tokenizer``,
``lm``, ``sae``, ``measure``, ``card``) run in this order and each reads what
the earlier ones saved under DIR, so one stage can be repeated alone with
``--stage``. Everything is made from the installed Python: no download.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from sae_lens import SAE, TopKTrainingSAE
from sae_lens.training.mixing_buffer import mixing_buffer
from tqdm import tqdm

from tools.demo.autoencoder import measure_sae, residual_chunks, residual_reader, train_sae
from tools.demo.card import write_card
from tools.demo.language_model import LMTraining, load_model, load_tokenizer, measure_lm, train_lm
from tools.demo.text import (
    Hyperparameters,
    build_tokenizer,
    cut_windows,
    split_documents,
    token_stream,
)


class Workspace:
    """The directory that the stages share, and the figures they measured."""

    def __init__(self, out: Path) -> None:
        """Opens DIR, making it where needed.

        Args:
            out: The output directory.
        """
        self.out = out
        self.model = out / "model"
        self.sae = out / "sae"
        self.model.mkdir(parents=True, exist_ok=True)

    def figures(self) -> dict[str, Any]:
        """Reads the figures measured so far.

        Returns:
            Figures by name; empty before the first.
        """
        path = self.out / "figures.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def record(self, **figures: Any) -> None:
        """Adds figures to those on disk.

        Args:
            **figures: Figures by name.
        """
        merged = self.figures() | figures
        text = json.dumps(merged, indent=2, sort_keys=True) + "\n"
        (self.out / "figures.json").write_text(text, encoding="utf-8")


def stage_tokenizer(work: Workspace, hp: Hyperparameters) -> None:
    """Trains and saves the tokenizer.

    Args:
        work: The output directory.
        hp: The recipe.
    """
    train, held_out = split_documents(hp)
    build_tokenizer(train, hp).save_pretrained(work.model)
    work.record(train_documents=len(train), held_out_documents=len(held_out))


def stage_lm(work: Workspace, hp: Hyperparameters) -> None:
    """Trains and saves the LM.

    Args:
        work: The output directory, with the tokenizer.
        hp: The recipe.
    """
    torch.manual_seed(hp.seed)
    tokenizer = load_tokenizer(work.model)
    train, held_out = split_documents(hp)
    stream = token_stream(tokenizer, train)
    windows = cut_windows(token_stream(tokenizer, held_out), hp.n_positions)
    tqdm.write(f"{len(stream):,} training tokens, {windows.numel():,} held out")
    training = LMTraining(hp, stream, work.out / "lm.ckpt")
    work.record(train_tokens=len(stream), parameters=training.model.num_parameters())
    train_lm(training, windows, work.model)
    training.checkpoint.unlink()


def sae_on(directory: Path, hp: Hyperparameters) -> TopKTrainingSAE:
    """Trains an SAE on an LM as it was saved.

    Args:
        directory: Where LM and tokenizer were saved.
        hp: The recipe.

    Returns:
        The trained SAE.
    """
    torch.manual_seed(hp.seed)
    model, tokenizer = load_model(directory), load_tokenizer(directory)
    stream = token_stream(tokenizer, split_documents(hp)[0])
    reader = residual_reader(model, hp.hook_layer)
    chunks = residual_chunks(reader, stream, hp)
    return train_sae(mixing_buffer(hp.sae_buffer, hp.sae_batch, chunks), hp)


def stage_sae(work: Workspace, hp: Hyperparameters) -> None:
    """Trains and saves the SAE.

    Args:
        work: The output directory, with tokenizer and LM.
        hp: The recipe.
    """
    sae_on(work.model, hp).save_inference_model(work.sae)


def stage_measure(work: Workspace, hp: Hyperparameters) -> None:
    """Measures LM and SAE as saved.

    Args:
        work: The output directory, with everything trained.
        hp: The recipe.
    """
    model, tokenizer = load_model(work.model), load_tokenizer(work.model)
    sae = cast("SAE[Any]", SAE).load_from_disk(work.sae, device="cpu")
    train_documents, held_out_documents = split_documents(hp)
    train = token_stream(tokenizer, train_documents)
    held_out = token_stream(tokenizer, held_out_documents)
    n_bytes = sum(len(text.encode("utf-8")) for text in held_out_documents)
    work.record(**measure_lm(model, train, held_out, n_bytes))
    work.record(**measure_sae(model, sae, train, held_out, hp))


def stage_card(work: Workspace, hp: Hyperparameters) -> None:
    """Writes the model card from the recipe and the measured figures.

    Args:
        work: The output directory, with the figures.
        hp: The recipe.
    """
    text = write_card(hp, work.figures())
    (work.out / "MODEL_CARD.md").write_text(text, encoding="utf-8")


STAGES: dict[str, Callable[[Workspace, Hyperparameters], None]] = {
    "tokenizer": stage_tokenizer,
    "lm": stage_lm,
    "sae": stage_sae,
    "measure": stage_measure,
    "card": stage_card,
}


def main() -> None:
    """Runs the stages that the command line names."""
    parser = argparse.ArgumentParser(description="Train the demo subject.")
    parser.add_argument("--out", type=Path, required=True, help="directory for the results")
    parser.add_argument("--stage", choices=["all", *STAGES], default="all")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument(
        "--machine",
        default=f"{os.cpu_count()} CPU cores",
        help="what the card says of the machine",
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    work = Workspace(args.out)
    for name, stage in STAGES.items():
        if args.stage in ("all", name):
            wall, processor = time.monotonic(), time.process_time()
            stage(work, Hyperparameters())
            seconds = {
                f"{name}_seconds": round(time.monotonic() - wall, 1),
                f"{name}_processor_seconds": round(time.process_time() - processor, 1),
            }
            work.record(machine=args.machine, **seconds)


if __name__ == "__main__":
    main()
