"""The planted SAE and the control are what they say, and load like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from evaluation import control, planted_sae
from evaluation.planted_sae import LEAST_F1, MODEL, SETS, Activations, Detectors, best_threshold
from evaluation.truth import truths
from graphs.config import SubjectConfig
from graphs.config_file import load_config
from graphs.subjects import open_subject
from tests.subjects import one_thread
from tools.demo.text import Hyperparameters, stdlib_documents
from tools.errors import SubjectError
from tools.rules import Windows

CONFIGS = Path(__file__).parents[1] / "evaluation" / "configs"
PROSE = """\
# Prose that was in no training text: the owl and the cat went to sea in a boat.
import owl
class Boat(Vessel):
    def sail(self, speed, honey=None, plenty=True):
        if speed != 12 or not honey:
            return [self.owl(x) for x in range(40)]
        with owl.open("name") as file:
            yield file
            self.crew.append(Name)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    folder = tmp_path_factory.mktemp("planted-sae")
    with one_thread():
        return folder, planted_sae.build(folder)


def config(folder: Path) -> SubjectConfig:
    return SubjectConfig.model_validate({"model": str(MODEL), "sae": {"path": str(folder)}})


def test_known_sets_are_detected_on_other_documents(built: tuple[Path, list[float]]) -> None:
    _, measured = built
    assert len(measured) == len(SETS) >= 24
    assert min(measured) >= LEAST_F1
    assert np.mean(measured) > 0.97
    assert {planted.family for planted in SETS} == {"single token", "token set", "token class"}


def test_it_loads_and_fires_where_the_truth_says(built: tuple[Path, list[float]]) -> None:
    folder, _ = built
    subject = open_subject(config(folder))
    assert subject.info.n_features == len(SETS)
    assert subject.info.architecture == "jumprelu"
    assert subject.info.hook_point == "blocks.0.hook_resid_post"
    known = truths(subject, config(folder))
    assert sorted(known) == list(range(len(SETS)))
    (told,) = subject.activations([PROSE], list(known))
    text = Windows.of([told.tokens])
    agreeing: list[float] = []
    for feature, truth in known.items():
        true = truth.predictor.predict_windows(text) > 0
        fired = told.activations[:, feature] > 0
        agreeing.append(float((true == fired).mean()))
        if true.any():
            assert (fired & true).any(), truth.statement
    assert np.mean(agreeing) > 0.98


def test_the_config_that_explains_it_names_its_features() -> None:
    settings = load_config(CONFIGS / "planted-sae.yaml")
    assert settings.features == (f"0-{len(SETS) - 1}",)
    assert settings.subject.sae is not None
    assert (settings.subject.sae.path or "").endswith("runs/results/planted-sae")


def test_what_cannot_be_detected_is_not_passed_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Detectors, "f1", lambda self, text: [1.0] * (len(SETS) - 1) + [0.5])
    monkeypatch.setattr(Activations, "of", lambda *given: Activations(*separable()))
    with pytest.raises(SubjectError, match=r"an F1 of 0\.500, less than 0\.9"):
        planted_sae.build(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def separable() -> tuple[torch.Tensor, torch.Tensor]:
    """Positions whose first coordinate tells the one from the other; (200, 3) and (200, 1)."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    belongs = torch.arange(200) % 5 == 0
    hidden[:, 0] += 8 * belongs
    return hidden, belongs[:, None]


def test_a_detector_finds_the_direction_that_separates() -> None:
    hidden, belongs = separable()
    detectors = Detectors.fitted(Activations(hidden, belongs))
    assert detectors.f1(Activations(hidden, belongs)) == [1.0]
    direction = detectors.weights[:, 0] / detectors.weights[:, 0].norm()
    assert direction[0] > 0.98
    assert detectors.f1(Activations(hidden, ~belongs)) == [0.0]


def test_the_threshold_is_where_f1_is_best() -> None:
    scores = torch.tensor([0.1, 0.9, 0.4, 0.8, 0.2])
    # Best to take the three highest: 2 hits of 2, one false alarm.
    belongs = torch.tensor([False, True, True, False, False])
    assert float(best_threshold(scores, belongs)) == pytest.approx(0.3)


def test_the_control_is_untrained_and_has_an_sae_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = stdlib_documents()[:40]
    monkeypatch.setattr("tools.demo.train.split_documents", lambda hp: (documents, []))
    small = Hyperparameters(
        n_layers=3, d_sae=64, k=4, sae_tokens=40_000, sae_buffer=20_000, sae_batch=1000
    )
    with one_thread():
        control.build(tmp_path, small)
    weights = load_file(tmp_path / "model" / "model.safetensors")
    embedding = weights["transformer.wte.weight"].float()
    assert embedding.std() == pytest.approx(0.02, rel=0.05)
    assert not weights["transformer.h.0.mlp.c_fc.bias"].any()
    subject = open_subject(
        SubjectConfig.model_validate(
            {"model": str(tmp_path / "model"), "sae": {"path": str(tmp_path / "sae")}}
        )
    )
    assert subject.info.n_features == 64
    (told,) = subject.activations([PROSE], list(range(64)))
    assert "".join(told.tokens) == PROSE
    assert 0 < (told.activations > 0).sum() <= 4 * len(told.tokens)


def test_a_short_control_differs_in_its_tokens_alone() -> None:
    short, full = control.recipe(200_000), Hyperparameters()
    assert (short.sae_tokens, short.sae_buffer) == (200_000, 200_000)
    assert control.recipe(full.sae_tokens) == full
