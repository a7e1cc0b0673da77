"""What cannot be loaded gives one clear error, soon."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.subjects import make_model_dir, make_sae_dir, one_thread
from tools.errors import (
    ConfigError,
    CorruptSubject,
    DeviceUnavailable,
    SubjectNotFound,
)
from tools.model.hub import looks_local
from tools.model.sources import load_model, load_sae, pick_device
from tools.subject import SaeSource, SubjectSpec, load_subject

CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Generator[None]:
    with one_thread():
        yield


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.model.hub.hub_reachable", lambda: False)


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    return make_model_dir(tmp_path / "model")


@pytest.fixture
def sae_dir(tmp_path: Path) -> Path:
    return make_sae_dir(tmp_path / "sae")


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("/models/x", True),
        ("./x", True),
        ("../x", True),
        ("~/x", True),
        ("models/mine/x", True),
        ("gpt2", False),
        ("openai-community/gpt2", False),
    ],
)
def test_what_is_a_path(name: str, local: bool) -> None:
    assert looks_local(name) is local


@pytest.mark.parametrize("name", ["/nowhere/model", "./nowhere", "a/b/c", "~/nowhere-at-all"])
def test_a_missing_directory_never_goes_to_the_hub(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> bool:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("tools.model.hub.hub_reachable", fail)
    with pytest.raises(SubjectNotFound, match=r"does not exist .*hub id"):
        load_model(name, CPU, torch.float32)
    with pytest.raises(SubjectNotFound, match=r"does not exist .*release and id"):
        load_sae(SaeSource(path=name), CPU)


def test_a_file_instead_of_a_directory(model_dir: Path) -> None:
    with pytest.raises(SubjectNotFound, match="is a file"):
        load_model(str(model_dir / "config.json"), CPU, torch.float32)


def test_without_network_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(seconds: float) -> None:
        pytest.fail(f"it would try again in {seconds} s")

    monkeypatch.setattr(time, "sleep", fail)
    with pytest.raises(SubjectNotFound, match="hub cannot be reached.*directory"):
        load_model("nobody/no-such-model", CPU, torch.float32)
    source = SaeSource(release="gpt2-small-res-jb", id="blocks.8.hook_resid_pre")
    with pytest.raises(SubjectNotFound, match="hub cannot be reached"):
        load_sae(source, CPU)


def test_unknown_releases_and_ids_name_the_nearest() -> None:
    with pytest.raises(SubjectNotFound, match="gpt2-small-res-jb"):
        load_sae(SaeSource(release="gpt2-small-resjb", id="blocks.8.hook_resid_pre"), CPU)
    with pytest.raises(SubjectNotFound, match=r"blocks\.8\.hook_resid_pre"):
        load_sae(SaeSource(release="gpt2-small-res-jb", id="blocks.8.resid_pre"), CPU)


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"release": "a"},
        {"id": "b"},
        {"path": "x", "release": "a", "id": "b"},
        {"path": "x", "id": "b"},
    ],
)
def test_an_sae_is_named_in_one_way(parts: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="either by release and id"):
        SaeSource(**parts)


def test_unknown_dtype_and_device() -> None:
    with pytest.raises(ConfigError, match="float33"):
        SubjectSpec("m", SaeSource(path="s"), dtype="float33")
    assert pick_device("cpu") == CPU
    for name in ("cuda:77", "toaster"):
        with pytest.raises(DeviceUnavailable, match=name):
            pick_device(name)


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("config.json", "config.json"),
        ("model.safetensors", r"\*\.safetensors"),
        ("tokenizer.json", "cannot be read|tokenizer"),
    ],
)
def test_model_files_missing(model_dir: Path, sae_dir: Path, file: str, named: str) -> None:
    (model_dir / file).unlink()
    if file == "tokenizer.json":
        (model_dir / "tokenizer_config.json").unlink()
    with pytest.raises(CorruptSubject, match=named):
        load_subject(SubjectSpec(str(model_dir), SaeSource(path=str(sae_dir))))


@pytest.mark.parametrize("file", ["cfg.json", "sae_weights.safetensors"])
def test_sae_files_missing(sae_dir: Path, file: str) -> None:
    (sae_dir / file).unlink()
    with pytest.raises(CorruptSubject, match=file):
        load_sae(SaeSource(path=str(sae_dir)), CPU)


def test_the_directory_above_is_told_apart(sae_dir: Path) -> None:
    with pytest.raises(CorruptSubject, match=f"perhaps you mean .*{sae_dir.name}"):
        load_sae(SaeSource(path=str(sae_dir.parent)), CPU)


def garble(path: Path) -> None:
    path.write_bytes(b"\x07 this is nothing" * 9)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty_object(path: Path) -> None:
    path.write_text("{}")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("harm", [garble, truncate])
def test_model_files_damaged(model_dir: Path, file: str, harm: Callable[[Path], None]) -> None:
    harm(model_dir / file)
    with pytest.raises(CorruptSubject, match=str(model_dir)):
        load_model(str(model_dir), CPU, torch.float32)


@pytest.mark.parametrize("file", ["cfg.json", "sae_weights.safetensors"])
@pytest.mark.parametrize("harm", [garble, truncate, empty_object])
def test_sae_files_damaged(sae_dir: Path, file: str, harm: Callable[[Path], None]) -> None:
    harm(sae_dir / file)
    with pytest.raises(CorruptSubject, match=str(sae_dir)):
        load_sae(SaeSource(path=str(sae_dir)), CPU)


def test_unknown_architecture_of_an_sae(sae_dir: Path) -> None:
    config = json.loads((sae_dir / "cfg.json").read_text())
    (sae_dir / "cfg.json").write_text(json.dumps({**config, "architecture": "crystal"}))
    with pytest.raises(CorruptSubject, match="crystal"):
        load_sae(SaeSource(path=str(sae_dir)), CPU)


def test_missing_weights_are_not_made_up(model_dir: Path) -> None:
    """Transformers would fill them with random numbers and go on."""
    path = model_dir / "model.safetensors"
    weights = load_file(path)
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(CorruptSubject, match=r"lacks 1 weights .*h\.1\.mlp\.c_fc\.weight"):
        load_model(str(model_dir), CPU, torch.float32)


def test_loading_prints_nothing(
    model_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kwargs = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    sae = make_sae_dir(tmp_path / "noisy", metadata=kwargs)
    capfd.readouterr()
    subject = load_subject(SubjectSpec(str(model_dir), SaeSource(path=str(sae))))
    subject.activations(["a long text " * 4], [0])
    out, err = capfd.readouterr()
    assert out == err == ""
