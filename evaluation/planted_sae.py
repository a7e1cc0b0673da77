"""Makes an SAE whose features are known: `python -m evaluation.planted_sae --out DIR`.

Each latent is to detect a set of tokens in the demo model's residual stream. Its direction is the
least-squares one (which for two classes is that of linear discriminant analysis), its threshold
the one with the best F1 on the text it was fitted on. All of them must reach LEAST_F1 on other
documents. The SAE is written in sae-lens' own format, with what it detects in `truth.jsonl`.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (parts of torch are typed too loosely for strict checking.)

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import typer
from sae_lens import JumpReLUSAE, JumpReLUSAEConfig
from torch import Tensor
from transformers import GPT2LMHeadModel

from evaluation.truth import TRUTH_FILE, TruthLine
from tools.demo.autoencoder import residual_reader, residuals, sae_metadata
from tools.demo.language_model import load_model, load_tokenizer
from tools.demo.text import BOS_ID, Hyperparameters, cut_windows, split_documents, token_stream
from tools.errors import SubjectError
from tools.model.tokenization import TextTokens

MODEL = Path(__file__).parents[1] / "tools" / "demo" / "model"

RECIPE = Hyperparameters(hook_layer=0)
"""The demo's, but read after the first block: later ones blend tokens, and detection is worse."""

FIT_EVERY = 8
"""One training document in so many is fitted on: a few hundred thousand tokens are plenty."""

LEAST_F1 = 0.9
RIDGE = 1e-4
"""Penalty as a share of the activations' mean variance."""


@dataclass(frozen=True, slots=True)
class PlantedSet:
    """Tokens that one latent is to detect."""

    family: str
    statement: str
    holds: Callable[[str], bool]
    """Whether a surface belongs to it."""


def _listed(family: str, *tokens: str) -> PlantedSet:
    noun = "token" if len(tokens) == 1 else "tokens"
    return PlantedSet(
        family,
        f"Fires on the {noun} {', '.join(map(repr, tokens))}.",
        frozenset(tokens).__contains__,
    )


def _class(statement: str, pattern: str) -> PlantedSet:
    compiled = re.compile(pattern)
    return PlantedSet("token class", statement, lambda found: bool(compiled.fullmatch(found)))


SETS: tuple[PlantedSet, ...] = (
    *(
        _listed("single token", token)
        for token in (" return", " None", " the", " self", "append", " import", " not", " def")
    ),
    *(_listed("single token", token) for token in ("):", " yield", " class", " with", "\n")),
    _listed("token set", " True", " False"),
    _listed("token set", " for", " while"),
    _listed("token set", " try", " except", " finally", " raise"),
    _listed("token set", " if", " elif"),
    _listed("token set", " and", " or"),
    _listed("token set", " in", " is"),
    _listed("token set", " file", " path", " filename"),
    _listed("token set", "name", " name", "Name", " Name", "NAME"),
    _listed("token set", " a", " an"),
    _class("Fires on numbers, with or without a space before them.", r" ?[0-9]+"),
    _class("Fires on comparisons such as ' =='.", r" (==|!=|<=?|>=?)"),
    _class("Fires on line breaks with eleven spaces or more behind them.", r"\n+ {11,}"),
    _class("Fires on two line breaks or more.", r"\n\n+ *"),
    _class("Fires on closing brackets.", r" ?[)\]}]+[:,.;]?"),
    _class("Fires on single capitals.", r" ?[A-Z]"),
    _class("Fires on single lower-case letters.", r" ?[a-z]"),
    _class("Fires on quotation marks.", r" ?[\"']+"),
    _class("Fires on opening brackets.", r" ?[(\[{]+"),
    _class("Fires on words in lower case after a space.", r" [a-z]+"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Activations:
    """The residual stream on some text, and which sets each of its tokens belongs to."""

    hidden: Tensor
    """(positions, width), float64."""
    belongs: Tensor
    """(positions, sets), booleans."""

    @classmethod
    def of(cls, model: GPT2LMHeadModel, windows: Tensor, members: Tensor) -> Activations:
        """Run windows that begin with BOS through the model.

        Args:
            model: the demo's.
            windows: token ids, one window per row.
            members: (vocabulary, sets), booleans.
        """
        hidden = residuals(residual_reader(model, RECIPE.hook_layer), windows).double()
        return cls(hidden, members[windows[windows != BOS_ID]])


@dataclass(frozen=True, slots=True, eq=False)
class Detectors:
    """One linear detector per set."""

    weights: Tensor
    """(width, sets)."""
    biases: Tensor
    """(sets,)."""
    thresholds: Tensor
    """(sets,): a token is detected above this."""
    directions: Tensor
    """(sets, width): how the mean activation of a set differs from that of all tokens."""

    @classmethod
    def fitted(cls, text: Activations) -> Detectors:
        """Fit detectors by ridge regression on membership, 1 or 0."""
        wanted = text.belongs.double()
        mean = text.hidden.mean(dim=0)
        centred = text.hidden - mean
        covariance = centred.T @ centred / len(centred)
        penalty = RIDGE * covariance.diagonal().mean() * torch.eye(len(mean), dtype=torch.float64)
        moments = centred.T @ (wanted - wanted.mean(dim=0)) / len(centred)
        weights = torch.linalg.solve(covariance + penalty, moments)
        biases = wanted.mean(dim=0) - mean @ weights
        scores = text.hidden @ weights + biases
        thresholds = torch.stack(
            [best_threshold(*column) for column in zip(scores.T, text.belongs.T, strict=True)]
        )
        directions = (wanted.T @ text.hidden) / wanted.sum(dim=0)[:, None] - mean
        return cls(weights, biases, thresholds, directions)

    def f1(self, text: Activations) -> list[float]:
        """F1 of detection, per set; 0 for one that neither occurs nor is detected."""
        found = text.hidden @ self.weights + self.biases > self.thresholds
        hits = (found & text.belongs).sum(dim=0)
        either = found.sum(dim=0) + text.belongs.sum(dim=0)
        return (2 * hits / either.clamp(min=1)).tolist()

    def as_sae(self, training_tokens: int) -> JumpReLUSAE:
        """The detectors as an SAE of sae-lens' JumpReLU class."""
        recipe = replace(RECIPE, sae_tokens=training_tokens)
        width, n_sets = self.weights.shape
        sae = JumpReLUSAE(
            JumpReLUSAEConfig(d_in=width, d_sae=n_sets, metadata=sae_metadata(recipe))
        )
        with torch.no_grad():
            sae.W_enc.copy_(self.weights)
            sae.b_enc.copy_(self.biases)
            sae.threshold.copy_(self.thresholds)
            sae.W_dec.copy_(self.directions)
            sae.b_dec.zero_()
        return sae


def best_threshold(scores: Tensor, belongs: Tensor) -> Tensor:
    """The threshold above which detection has the best F1: halfway between two scores.

    Args:
        scores: (positions,).
        belongs: (positions,), booleans; at least one is true.
    """
    ordered, order = scores.sort(descending=True)
    hits = belongs[order].cumsum(dim=0)
    found = torch.arange(1, len(scores) + 1)
    best = int((2 * hits / (found + hits[-1])).argmax())
    return (ordered[best] + ordered[min(best + 1, len(ordered) - 1)]) / 2


def build(out: Path) -> list[float]:
    """Fit, measure and write the SAE.

    Args:
        out: the directory to write.

    Returns:
        F1 of each set of SETS on documents that it was not fitted on.

    Raises:
        SubjectError: one of them is below LEAST_F1; nothing is written.
    """
    tokenizer, model = load_tokenizer(MODEL), load_model(MODEL)
    surfaces = TextTokens(tokenizer).surfaces(range(len(tokenizer)))
    members = torch.tensor([[planted.holds(found) for planted in SETS] for found in surfaces])
    train, other = split_documents(RECIPE)
    fitted_on, measured_on = (
        Activations.of(
            model, cut_windows(token_stream(tokenizer, documents), RECIPE.context_size), members
        )
        for documents in (train[::FIT_EVERY], other)
    )
    detectors = Detectors.fitted(fitted_on)
    measured = detectors.f1(measured_on)
    for planted, f1 in zip(SETS, measured, strict=True):
        if f1 < LEAST_F1:
            raise SubjectError(
                f"{planted.statement} It is detected with an F1 of {f1:.3f}, less than {LEAST_F1}; "
                f"check that {MODEL} holds the demo's model."
            )
    detectors.as_sae(len(fitted_on.hidden)).save_model(out)
    _write_truth(out / TRUTH_FILE, surfaces)
    return measured


def _write_truth(path: Path, surfaces: Sequence[str]) -> None:
    lines: list[str] = []
    for feature, planted in enumerate(SETS):
        tokens = tuple(dict.fromkeys(found for found in surfaces if planted.holds(found)))
        line = TruthLine(
            feature=feature, family=planted.family, statement=planted.statement, tokens=tokens
        )
        lines.append(json.dumps(line.model_dump(exclude_none=True)) + "\n")
    path.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    """Make the SAE that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make an SAE whose features are known.")
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    out: Path = parser.parse_args().out
    try:
        measured = build(out)
    except SubjectError as error:
        sys.exit(str(error))
    for planted, f1 in zip(SETS, measured, strict=True):
        typer.echo(f"F1 {f1:.3f}  {planted.statement}")
    typer.echo(f"{len(measured)} features are in {out}")


if __name__ == "__main__":
    main()
