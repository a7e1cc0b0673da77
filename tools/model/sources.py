"""Finds and loads language models and SAEs, from directories or from their hub."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# (sae-lens ships no type information; transformers' auto classes are typed too loosely.)

from __future__ import annotations

import difflib
import json
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from sae_lens import SAE, TrainingSAE
from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory
from sae_lens.registry import SAE_CLASS_REGISTRY, SAE_TRAINING_CLASS_REGISTRY
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from tools.errors import (
    ConfigError,
    CorruptSubject,
    DeviceUnavailable,
    SubjectError,
    SubjectNotFound,
)
from tools.model.hub import hub_access, looks_local, quiet_libraries

_SAE_FILES = ("cfg.json", "sae_weights.safetensors")

_LOADING_ERRORS = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    ImportError,
    SafetensorError,
)
"""What transformers and sae-lens raise over a damaged, foreign or missing checkpoint."""


@dataclass(frozen=True)
class SaeSource:
    """Where an SAE is: `release` and `id` in sae-lens' registry, or the `path` of a directory."""

    release: str | None = None
    id: str | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        """Refuse anything but one complete way to name the SAE.

        Raises:
            ConfigError: neither or both ways are used, or one is incomplete.
        """
        from_hub = self.release is not None and self.id is not None
        partly = self.release is not None or self.id is not None
        if self.path is not None and partly or self.path is None and not from_hub:
            raise ConfigError(
                "an SAE is named either by release and id (sae-lens' registry) or by path "
                f"(a directory), got release={self.release}, id={self.id}, path={self.path}"
            )

    def __str__(self) -> str:
        """The path, or `release/id`."""
        return self.path if self.path is not None else f"{self.release}/{self.id}"


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA where there is some, else the CPU.

    Apple's MPS must be asked for: its kernels are not exact enough to be a default.

    Raises:
        DeviceUnavailable: the device does not exist here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceUnavailable(
            f"device {name} cannot be used ({_first_line(error)}); use device: cpu or auto"
        ) from error
    return device


def load_model(
    name: str, device: torch.device, dtype: torch.dtype | str, revision: str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model and its tokenizer, in eval mode, on `device`.

    Args:
        name: hub id or directory.
        device: where to put it.
        dtype: of its weights; "auto": as stored.
        revision: git revision on the hub; None: the newest.

    Raises:
        SubjectNotFound: there is no such directory, or the hub does not have it or is unreachable.
        CorruptSubject: a file is missing or unreadable, or weights are.
        DeviceUnavailable: the model does not fit the device.
    """
    local = looks_local(name)
    source = str(_model_directory(name)) if local else name
    with quiet_libraries(), _explaining("language model", name, local=local):
        loaded = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            revision=None if local else revision,
            output_loading_info=True,
        )
        model, info = cast(tuple[PreTrainedModel, dict[str, Any]], loaded)
        tokenizer = AutoTokenizer.from_pretrained(
            source, trust_remote_code=False, revision=None if local else revision
        )
        # The output head is never run, and many checkpoints leave it out.
        missing = sorted(key for key in info["missing_keys"] if "lm_head" not in key)
        if missing:
            raise CorruptSubject(
                f"the checkpoint of {name} lacks {len(missing)} weights of its model, among them "
                f"{', '.join(missing[:3])}; download or save it again"
            )
        cast(nn.Module, model).to(device)
    return model.eval(), cast(PreTrainedTokenizerBase, tokenizer)


def load_sae(source: SaeSource, device: torch.device) -> SAE[Any]:
    """Load an SAE (transcoders too) in float32, float64 if it is stored so.

    Directories written by sae-lens are read: those of `save_model`, `save_inference_model` and
    the checkpoints and results of training runs.

    Raises:
        SubjectNotFound: there is no such directory, release or id, or the hub is unreachable.
        CorruptSubject: a file is missing or unreadable.
    """
    local = source.path is not None
    if source.path is None:
        _check_release(cast(str, source.release), cast(str, source.id))
    with quiet_libraries(), _explaining("SAE", str(source), local=local):
        if source.path is not None:
            sae = _load_sae_directory(_sae_directory(source.path), str(device))
        else:
            release, sae_id = cast(str, source.release), cast(str, source.id)
            sae = SAE.from_pretrained(release, sae_id, device=str(device))
    # Heads arrive side by side already.
    sae.turn_off_forward_pass_hook_z_reshaping()
    return sae.eval()


def _model_directory(name: str) -> Path:
    path = _existing_directory(name, "language model", "a hub id such as openai-community/gpt2")
    if not (path / "config.json").is_file():
        raise CorruptSubject(f"{path} is no language model directory: config.json is missing")
    if not any(path.glob("*.safetensors")):
        raise CorruptSubject(
            f"{path} has no *.safetensors file; weights in other formats are not read because "
            "they can run code: save the model again with transformers' save_pretrained"
        )
    return path


def _sae_directory(name: str) -> Path:
    path = _existing_directory(name, "SAE", "release and id of a published SAE")
    missing = [file for file in _SAE_FILES if not (path / file).is_file()]
    if missing:
        inside = sorted(str(found.parent) for found in path.glob("*/cfg.json"))[:3]
        hint = f"; perhaps you mean {' or '.join(inside)}" if inside else ""
        raise CorruptSubject(
            f"{path} is no SAE directory as sae-lens writes it: {' and '.join(missing)} missing"
            f"{hint}"
        )
    return path


def _existing_directory(name: str, kind: str, alternative: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    state = "is a file, not a directory" if path.exists() else "does not exist"
    raise SubjectNotFound(
        f"the {kind} directory {path} {state} (looked from {Path.cwd()}); "
        f"give the path of a directory or {alternative}"
    )


def _load_sae_directory(path: Path, device: str) -> SAE[Any]:
    config = json.loads((path / "cfg.json").read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ValueError("cfg.json holds no JSON object")
    config = cast(dict[str, Any], config)
    dtype = "float64" if "float64" in str(config.get("dtype")) else "float32"
    architecture = str(config.get("architecture", "standard"))
    if architecture in SAE_TRAINING_CLASS_REGISTRY and architecture not in SAE_CLASS_REGISTRY:
        # A checkpoint of an architecture that exists in training only: sae-lens turns it into
        # the one it becomes (BatchTopK into JumpReLU) when it saves it.
        training: TrainingSAE[Any] = TrainingSAE.load_from_disk(path, device=device, dtype=dtype)
        with tempfile.TemporaryDirectory() as directory:
            training.save_inference_model(directory)
            return SAE.load_from_disk(directory, device=device, dtype=dtype)
    if architecture not in SAE_CLASS_REGISTRY:
        known = ", ".join(sorted(SAE_CLASS_REGISTRY))
        raise ValueError(f"sae-lens does not know the architecture {architecture}, only {known}")
    return SAE.load_from_disk(path, device=device, dtype=dtype)


def _check_release(release: str, sae_id: str) -> None:
    directory = get_pretrained_saes_directory()
    if release in directory:
        ids = list(directory[release].saes_map)
        if sae_id not in ids:
            raise SubjectNotFound(f"release {release} has no SAE {sae_id}; {_nearest(sae_id, ids)}")
    elif looks_local(release) or "/" not in release:
        raise SubjectNotFound(
            f"{release} is no release in sae-lens' registry and no hub id; "
            f"{_nearest(release, list(directory))}; a directory is given as path"
        )


def _nearest(name: str, candidates: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, candidates, n=3, cutoff=0.3)
    return f"the nearest are {', '.join(close or candidates[:3])}"


@contextmanager
def _explaining(kind: str, name: str, *, local: bool) -> Generator[None]:
    """Turn what the libraries raise into one clear error."""
    with hub_access(needed=not local) as online:
        try:
            yield
        except SubjectError:
            raise
        except torch.OutOfMemoryError as error:
            raise DeviceUnavailable(
                f"the {kind} {name} does not fit the device's memory; use dtype: bfloat16, "
                "a smaller model, or device: cpu"
            ) from error
        except _LOADING_ERRORS as error:
            if local:
                raise CorruptSubject(
                    f"the {kind} in {name} cannot be read ({_first_line(error)}); "
                    "a file is damaged, missing or of an unsupported kind: get or save it again"
                ) from error
            raise _hub_error(kind, name, error, online=online) from error


def _hub_error(kind: str, name: str, error: BaseException, *, online: bool) -> SubjectNotFound:
    if not online:
        return SubjectNotFound(
            f"the {kind} {name} is not in the local cache and the hub cannot be reached; "
            "connect to the network, or give the path of a directory"
        )
    return SubjectNotFound(
        f"the {kind} {name} cannot be had from the hub ({_first_line(error)}); check the name, "
        "log in if it is gated (hf auth login), or give the path of a directory"
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no details'}"[:300]
