"""A language model with an SAE as one instrument: texts go in, activations come out."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# (sae-lens and transformers are typed too loosely for strict checking.)

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sae_lens import SAE
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tools.activations import Fired, LogitEffects, SubjectInfo, TextActivations
from tools.errors import (
    ConfigError,
    EmptyText,
    FeatureOutOfRange,
    SubjectError,
    WidthMismatch,
)
from tools.lanes import Lanes
from tools.model.bridge_reader import BridgeReader
from tools.model.encoders import build_encoder
from tools.model.fingerprint import fingerprint
from tools.model.hook_points import locate
from tools.model.lanes import MOST_LANES, open_lanes
from tools.model.logit_effects import logit_effects
from tools.model.memory import explain_memory
from tools.model.not_finite import MeasuredWindows
from tools.model.readers import HookReader, Reader
from tools.model.sae_half import SaeHalf
from tools.model.sae_settings import SaeSettings
from tools.model.sources import SaeSource, load_model, load_sae, pick_device
from tools.model.tokenization import TextTokens
from tools.model.window_batches import WindowBatches

__all__ = ["LoadedSubject", "SaeSource", "SubjectSpec", "load_subject"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class SubjectSpec:
    """Which language model and which SAE, and how to run them."""

    model: str
    """Hub id or directory of the language model."""
    sae: SaeSource
    """Where the SAE is."""
    device: str = "auto"
    """Device in torch's words; auto: CUDA if there is some, else the CPU."""
    dtype: str = "auto"
    """Of the language model: float32, bfloat16, float16; auto: float32 on a CPU, as stored on
    anything else. The SAE always computes in float32."""

    def __post_init__(self) -> None:
        """Check what can be checked without loading.

        Raises:
            ConfigError: the dtype is unknown.
        """
        if self.dtype != "auto" and self.dtype not in _DTYPES:
            raise ConfigError(f"dtype {self.dtype} is none of auto, {', '.join(_DTYPES)}")


def load_subject(spec: SubjectSpec) -> LoadedSubject:
    """Load model and SAE and check that they fit together.

    Raises:
        SubjectNotFound: model or SAE is nowhere to be had.
        CorruptSubject: a file or weight is missing or unreadable.
        DeviceUnavailable: the device does not exist or is too small.
        UnsupportedHookPoint: the model lacks the SAE's hook point.
        WidthMismatch: the hook point is not as wide as the SAE's input.
        SubjectError: the SAE wants a BOS token and the tokenizer has none.
    """
    sae = load_sae(spec.sae, pick_device(spec.device))
    return LoadedSubject(spec, *load_model_for(spec, sae), sae, settings_of(sae))


def load_model_for(
    spec: SubjectSpec, sae: SAE[Any]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The language model of `spec`, in the revision that its SAE was trained on."""
    device = pick_device(spec.device)
    dtype: torch.dtype | str = _DTYPES.get(spec.dtype, "auto")
    if spec.dtype == "auto" and device.type == "cpu":
        dtype = torch.float32
    return load_model(spec.model, device, dtype, revision_of(sae))


def revision_of(sae: SAE[Any]) -> str | None:
    """The git revision of the language model that an SAE was trained on, where it says so."""
    return (sae.cfg.metadata.model_from_pretrained_kwargs or {}).get("revision")


def settings_of(sae: SAE[Any]) -> SaeSettings:
    """What an SAE says of how its language model is to be run."""
    return SaeSettings.from_metadata(sae.cfg.metadata.to_dict())


@dataclass(eq=False)
class LoadedSubject:
    """A model and an SAE in memory; implements `SparseSubject` and `WritingSubject`.

    Safe under threads: on a CPU forward passes may overlap, elsewhere they take turns.
    """

    spec: SubjectSpec
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    sae: SAE[Any]
    settings: SaeSettings
    info: SubjectInfo = field(init=False)
    window_size: int = field(init=False)
    reader: Reader = field(init=False)
    half: SaeHalf = field(init=False)
    _tokens: TextTokens = field(init=False)
    _bos: list[int] = field(init=False)
    _left_out: frozenset[int] = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Fit model and SAE together; see `load_subject` for what can be wrong."""
        self._tokens = TextTokens(self.tokenizer)
        self._bos = self._find_bos()
        self._left_out = self._tokens.special_ids | self.settings.excluded_tokens
        self.info = self._describe()
        self.window_size = self.info.context_size - len(self._bos)
        if self.window_size < 1:
            raise SubjectError(f"{self.spec.sae} has no room in its context beside BOS")
        batches = WindowBatches(
            tuple(self._bos),
            self.window_size,
            self.info.vocabulary_size,
            self._left_out,
            self.model.device,
        )
        self.half = SaeHalf(build_encoder(self.sae), batches, self.surfaces)
        self.reader = self._find_reader()
        self._check_width()

    def tokenize(self, text: str) -> list[int]:
        """See `Subject.tokenize`."""
        return self._tokens.ids(text)

    def surfaces(self, token_ids: Sequence[int]) -> list[str]:
        """See `Subject.surfaces`."""
        return self._tokens.surfaces(token_ids)

    def activations(self, texts: Sequence[str], features: Sequence[int]) -> list[TextActivations]:
        """See `Subject.activations`."""
        ids_of_texts = self._tokens.ids_of_all(texts)
        for text, ids in zip(texts, ids_of_texts, strict=True):
            if self._left_out.issuperset(ids):
                raise EmptyText(
                    f"the text {text!r} has no tokens besides special ones; give some text"
                )
        arrays = self.encode_windows(ids_of_texts, features)
        return [
            self._text_activations(text, ids, array)
            for text, ids, array in zip(texts, ids_of_texts, arrays, strict=True)
        ]

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        """See `Subject.encode_windows`.

        Special tokens within a window, and those left out of the SAE's training, get 0: what
        the SAE gives there means nothing.
        """
        self._check_features(features)
        if not windows:
            return []
        ids, keep = self.half.batches.padded(windows)
        measured = MeasuredWindows(windows, features, self.surfaces)
        with self.turn, torch.inference_mode(), explain_memory(len(windows)):
            hidden = self.reader.read(ids)
            latents = self.half.latents(hidden, keep, features)
            measured.check(hidden[keep], latents)
            rows: NDArray[np.float32] = latents.cpu().numpy()
        if self._left_out:
            silent = self.half.batches.silent(windows)
            rows = np.where(silent[:, None], np.float32(0), rows) if silent.any() else rows
        ends = np.cumsum([len(window) for window in windows])
        return np.split(rows, ends[:-1])

    def firing_windows(self, windows: Sequence[Sequence[int]], features: Sequence[int]) -> Fired:
        """See `FiringSource.firing_windows`."""
        self._check_features(features)
        if not windows or not features:
            return Fired.nothing()
        ids, keep = self.half.batches.padded(windows)
        with self.turn, torch.inference_mode(), explain_memory(len(windows)):
            return self.half.fired(self.reader.read(ids), keep, windows, features)

    def lanes(self) -> Lanes:
        """See `FiringSource.lanes`."""
        return open_lanes(min(MOST_LANES, torch.get_num_threads()) if self._concurrent else 1)

    def logit_effects(self, features: Sequence[int], n: int) -> list[LogitEffects]:
        """See `WritingSubject.logit_effects`."""
        self._check_features(features)
        size = self.info.vocabulary_size
        return logit_effects(self.model, self.sae, self.settings, features, n, size, self.surfaces)

    @property
    def _concurrent(self) -> bool:
        """Whether passes may, and should, overlap."""
        return self.model.device.type == "cpu" and self.reader.concurrent

    @property
    def turn(self) -> AbstractContextManager[object]:
        """To be held during a forward pass."""
        return nullcontext() if self._concurrent else self._lock

    def _text_activations(
        self, text: str, ids: list[int], array: NDArray[np.float32]
    ) -> TextActivations:
        shown = [place for place, token_id in enumerate(ids) if token_id not in self._left_out]
        ids = [ids[place] for place in shown]
        array = array if len(shown) == len(array) else array[shown]
        return TextActivations(text, tuple(ids), tuple(self.surfaces(ids)), array)

    def _check_features(self, features: Sequence[int]) -> None:
        for feature in (min(features, default=0), max(features, default=0)):
            if not 0 <= feature < self.info.n_features:
                raise FeatureOutOfRange(
                    f"feature {feature} does not exist: the SAE {self.info.sae} has features "
                    f"0 to {self.info.n_features - 1}"
                )

    def _find_bos(self) -> list[int]:
        if not self.settings.prepend_bos:
            return []
        bos = self._tokens.bos_id(or_end=not self.settings.plain_transformers)
        if bos is not None:
            return [bos]
        if self.settings.plain_transformers:
            # sae-lens puts nothing first where a plain model's tokenizer has no such token.
            return []
        raise SubjectError(
            f"the SAE {self.spec.sae} was trained with a beginning-of-sequence token, but the "
            f"tokenizer of {self.spec.model} has neither that nor an end-of-sequence token; "
            "use the model that the SAE was trained on"
        )

    def _find_reader(self) -> Reader:
        point = locate(self.model, self.settings)
        if point is not None:
            return HookReader(self.model, point, self.settings.head)
        return BridgeReader(self.spec.model, self.model, self.tokenizer, self.settings)

    def _check_width(self) -> None:
        """One short forward pass: whatever the architecture calls its width, this is it."""
        ids = torch.tensor([[*self._bos, 0]], device=self.model.device)
        with torch.inference_mode():
            width = self.reader.read(ids).shape[-1]
        if width != self.sae.cfg.d_in:
            raise WidthMismatch(
                f"the SAE {self.spec.sae} reads {self.sae.cfg.d_in} numbers per token at "
                f"{self.settings.hook_name}, but the model {self.spec.model} gives {width} there; "
                "use the model that the SAE was trained on"
            )

    def _describe(self) -> SubjectInfo:
        config = self.model.config.get_text_config()
        limit = cast(int | None, getattr(config, "max_position_embeddings", None))
        rows = cast(Tensor, self.model.get_input_embeddings().weight).shape[0]
        return SubjectInfo(
            model=self.spec.model,
            sae=str(self.spec.sae),
            architecture=str(self.sae.cfg.architecture()),
            hook_point=self.settings.hook_name,
            n_features=int(self.sae.cfg.d_sae),
            context_size=self.settings.context(limit),
            prepend_bos=bool(self._bos),
            vocabulary_size=min(rows, len(self._tokens)),
            fingerprint=fingerprint(
                {"model": self.model.state_dict(), "sae": self.sae.state_dict()},
                {
                    "model": self.model.config.to_diff_dict(),
                    "sae": self.sae.cfg.to_dict(),
                    "hook": asdict(self.settings),
                    "bos": self._bos,
                    "tokenizer": self._tokens.digest(),
                },
            ),
        )
