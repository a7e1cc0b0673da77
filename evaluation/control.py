"""Makes the random-weights control: `python -m evaluation.control --out DIR`.

The demo's architecture as it is before any training, with its tokenizer, and an SAE trained on it
by the demo's own recipe. Features of such a model tell of the text alone: what an explanation of
them scores is no finding about a language model. Both are written in the hubs' own formats.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from tools.demo.language_model import load_tokenizer, new_model, save_half
from tools.demo.text import Hyperparameters
from tools.demo.train import sae_on

TOKENIZER = Path(__file__).parents[1] / "tools" / "demo" / "model"
MODEL_NAME = "saesage-control-gpt2"


def build(out: Path, hp: Hyperparameters) -> None:
    """Write the control.

    Args:
        out: directory that gets `model` and `sae`.
        hp: the recipe; all but its language-model training counts.
    """
    model = out / "model"
    load_tokenizer(TOKENIZER).save_pretrained(model)
    torch.manual_seed(hp.seed)
    save_half(new_model(hp), model)
    sae = sae_on(model, hp)
    sae.cfg.metadata.model_name = MODEL_NAME
    sae.save_inference_model(out / "sae")


def recipe(tokens: int) -> Hyperparameters:
    """The demo's recipe with an SAE that is trained on so many tokens."""
    hp = Hyperparameters()
    return replace(hp, sae_tokens=tokens, sae_buffer=min(hp.sae_buffer, tokens))


def main() -> None:
    """Make the control that the command line asks for."""
    full, least = Hyperparameters().sae_tokens, 50 * Hyperparameters().sae_batch
    parser = argparse.ArgumentParser(description="Make the random-weights control.")
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    parser.add_argument(
        "--tokens", type=int, default=full, help=f"that the SAE trains on, {full} if not given"
    )
    args = parser.parse_args()
    if args.tokens < least:
        parser.error(f"--tokens: give at least {least}; fewer train nothing")
    build(args.out, recipe(args.tokens))


if __name__ == "__main__":
    main()
