"""A subject whose features follow known rules: real tokens, real text, planted meanings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.planted.context_features import CONTEXT_FEATURES
from evaluation.planted.meaning import Planted
from evaluation.planted.surface_features import SURFACE_FEATURES
from evaluation.planted.text import Text, Vocabulary, positions_of
from evaluation.truth import Truth
from tools.activations import SubjectInfo, TextActivations
from tools.demo.language_model import load_tokenizer
from tools.errors import EmptyText, FeatureOutOfRange, SubjectError, TextTooLong
from tools.model.tokenization import TextTokens

FEATURES: tuple[Planted, ...] = (*SURFACE_FEATURES, *CONTEXT_FEATURES)
"""Every planted feature; the place is the feature's id."""

WINDOW_SIZE = 127
"""As with the demo's SAE: a context of 128 tokens, one of them BOS."""

SMALLEST, LARGEST = 0.3, 300.0
"""Largest activations of the weakest and of the strongest feature."""

_TOKENIZER = Path(__file__).parents[2] / "tools" / "demo" / "model"
_STRIDE = 23
"""Has no divisor in common with the number of features: neighbours differ much in scale."""


def planted_subject() -> PlantedSubject:
    """The planted features over the demo's tokenizer."""
    return PlantedSubject(TextTokens(load_tokenizer(_TOKENIZER)))


def amplitude(feature: int) -> float:
    """Largest activation that a feature can have, between SMALLEST and LARGEST."""
    step = feature * _STRIDE % len(FEATURES) / (len(FEATURES) - 1)
    return SMALLEST * (LARGEST / SMALLEST) ** step


class PlantedSubject:
    """Implements `tools.activations.Subject` and `evaluation.truth.KnownTruth`.

    Activations are computed from token surfaces; there are no weights.
    """

    window_size = WINDOW_SIZE

    def __init__(self, tokens: TextTokens) -> None:
        """Read text with this tokenizer."""
        self._tokens = tokens
        surfaces = tokens.surfaces(range(len(tokens)))
        index = {surface: code for code, surface in enumerate(dict.fromkeys(surfaces))}
        self._codes = np.array([index[surface] for surface in surfaces], np.int64)
        self._vocabulary = Vocabulary(tuple(index))
        self.info = SubjectInfo(
            model="planted",
            sae="planted",
            architecture="planted",
            hook_point="token surfaces",
            n_features=len(FEATURES),
            context_size=WINDOW_SIZE + 1,
            prepend_bos=True,
            vocabulary_size=len(tokens),
            fingerprint=blake2b(
                (_definition() + tokens.digest()).encode(), digest_size=16
            ).hexdigest(),
        )

    def tokenize(self, text: str) -> list[int]:
        """See `Subject.tokenize`."""
        return self._tokens.ids(text)

    def surfaces(self, token_ids: Sequence[int]) -> list[str]:
        """See `Subject.surfaces`."""
        return self._tokens.surfaces(token_ids)

    def activations(self, texts: Sequence[str], features: Sequence[int]) -> list[TextActivations]:
        """See `Subject.activations`."""
        windows = self._tokens.ids_of_all(texts)
        for text, window in zip(texts, windows, strict=True):
            if not window:
                raise EmptyText(f"the text {text!r} has no tokens; give some text")
        encoded = self.encode_windows(windows, features)
        return [
            TextActivations(text, tuple(window), tuple(self.surfaces(window)), values)
            for text, window, values in zip(texts, windows, encoded, strict=True)
        ]

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        """See `Subject.encode_windows`."""
        self._check(windows, features)
        if not windows:
            return []
        lengths = [len(window) for window in windows]
        ids = np.fromiter((token for window in windows for token in window), np.int64, sum(lengths))
        text = Text(self._vocabulary, self._codes[ids], positions_of(lengths))
        rows = np.empty((len(ids), len(features)), np.float32)
        for column, feature in enumerate(features):
            rows[:, column] = np.float32(amplitude(feature)) * FEATURES[feature].fired(text)
        return np.split(rows, np.cumsum(lengths)[:-1])

    def truth(self, feature: int) -> Truth:
        """What a feature means, without variation and noise.

        Raises:
            FeatureOutOfRange: there is no such feature.
        """
        self._check((), [feature])
        planted = FEATURES[feature]
        return Truth(planted.family, planted.sentence, planted)

    def _check(self, windows: Sequence[Sequence[int]], features: Sequence[int]) -> None:
        for feature in features:
            if not 0 <= feature < len(FEATURES):
                raise FeatureOutOfRange(
                    f"feature {feature} does not exist: the planted subject has features 0 to "
                    f"{len(FEATURES) - 1}"
                )
        longest = max(map(len, windows), default=0)
        if longest > WINDOW_SIZE:
            raise TextTooLong(
                f"a text has {longest} tokens, but at most {WINDOW_SIZE} fit; shorten or split it"
            )
        highest = max((max(window) for window in windows if window), default=0)
        if highest >= len(self._codes):
            raise SubjectError(
                f"token id {highest} is not in the vocabulary of {len(self._codes)}; use the "
                "planted subject's own tokenizer"
            )


@cache
def _definition() -> str:
    """The source of this package: whatever changes a feature changes it."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return "\0".join(path.read_text(encoding="utf-8") for path in files)
