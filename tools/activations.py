"""What is measured: the activations of features on texts, token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tools.errors import ActivationNotFinite
from tools.lanes import Lanes

RUNG_TOKENS = 4
"""A subject may pad windows to a multiple of so many tokens, special ones counted, whatever else is
in their batch. Texts whose lengths come to the same multiple can then share a pass without changing
each other's bits."""


@dataclass(frozen=True, slots=True)
class SubjectInfo:
    """What there is to know of a subject without running it."""

    model: str
    """Hub id or directory of the language model."""
    sae: str
    """`release/id` or directory of the SAE."""
    architecture: str
    """The SAE's architecture, in sae-lens' words: standard, jumprelu, topk, ..."""
    hook_point: str
    """Where in the model the SAE reads."""
    n_features: int
    """Number of latents."""
    context_size: int
    """Longest text in tokens, special tokens included."""
    prepend_bos: bool
    """Whether a beginning-of-sequence token is put before each text."""
    vocabulary_size: int
    """Number of token ids."""
    fingerprint: str
    """Hash over the weights and settings of model and SAE: equal means same activations."""


@dataclass(frozen=True, slots=True, eq=False)
class TextActivations:
    """One text as the subject saw it, special tokens left out."""

    text: str
    """Exactly what was tokenised."""
    token_ids: tuple[int, ...]
    """Token ids, special tokens (such as BOS) left out."""
    tokens: tuple[str, ...]
    """The surface of each token; a leading space is part of it."""
    activations: NDArray[np.float32]
    """Shape (n_tokens, n_features): activations in the SAE's own units, columns as asked for."""


class Tokenization(Protocol):
    """How a subject reads text, without running it."""

    @property
    def info(self) -> SubjectInfo:
        """What there is to know of the subject without running it."""
        ...

    @property
    def window_size(self) -> int:
        """Longest window in tokens that fits the context beside its special tokens."""
        ...

    def tokenize(self, text: str) -> list[int]:
        """Token ids of `text` without special tokens."""
        ...

    def surfaces(self, token_ids: Sequence[int]) -> list[str]:
        """The surface string of each token id, independent of its neighbours.

        A word-initial token carries its leading space whatever the tokenizer's own mark is.
        """
        ...


@runtime_checkable
class Subject(Tokenization, Protocol):
    """A language model with an SAE, as an instrument: texts go in, activations come out.

    Safe to share between threads.
    """

    def activations(self, texts: Sequence[str], features: Sequence[int]) -> list[TextActivations]:
        """Run `texts` through model and SAE as one batch.

        Raises:
            FeatureOutOfRange: a feature id is not one of the SAE's latents.
            TextTooLong: a text does not fit the SAE's context.
            EmptyText: a text has no tokens.
            InvalidText: a text is no valid Unicode.
            ActivationNotFinite: an activation is NaN or infinite.
        """
        ...

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        """Activations of token windows that are already cut (the harvest's path).

        Args:
            windows: token ids without special tokens, each at most `window_size` long.
            features: feature ids; the columns of the result.

        Returns:
            One array of shape (n_tokens, n_features) per window, BOS left out.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Fired:
    """What fires on some windows, as (row, column, value) triples in no particular order."""

    rows: NDArray[np.int64]
    """Shape (n_firings,): tokens, counted through all windows end to end, BOS left out."""
    columns: NDArray[np.int64]
    """Shape (n_firings,): indices into the features asked for."""
    values: NDArray[np.float32]
    """Shape (n_firings,): activations, all above zero and finite."""
    failures: Mapping[int, ActivationNotFinite]
    """Feature ids that gave NaN or an infinity, and where; nothing of them is in the triples."""

    @classmethod
    def nothing(cls, failures: Mapping[int, ActivationNotFinite] | None = None) -> Fired:
        """No firing at all."""
        none = np.empty(0, np.int64)
        return cls(none, none, np.empty(0, np.float32), failures or {})


@runtime_checkable
class FiringSource(Protocol):
    """Gives what fires on windows, without laying out what does not."""

    def surfaces(self, token_ids: Sequence[int]) -> list[str]:
        """See `Tokenization.surfaces`."""
        ...

    def firing_windows(self, windows: Sequence[Sequence[int]], features: Sequence[int]) -> Fired:
        """The activations above zero, number for number as `Subject.encode_windows` gives them.

        Args:
            windows: token ids without special tokens, each at most `window_size` long.
            features: distinct feature ids.

        Raises:
            FeatureOutOfRange: a feature id is not one of the SAE's latents.
            ActivationNotFinite: the model itself gives NaN or an infinity.
            OutOfMemory: there is not enough memory for so many windows at once.
        """
        ...

    def lanes(self) -> Lanes:
        """Threads to run passes in, of any kind: as many as run well side by side."""
        ...


@runtime_checkable
class SparseSubject(Subject, FiringSource, Protocol):
    """A Subject whose `firing_windows` are the activations above zero of its `encode_windows`.

    A Subject need not be one: the harvest then takes `encode_windows`.
    """


def lanes_of(subject: Subject | FiringSource) -> Lanes:
    """Its own lanes, or a single one: what says nothing of threads is called from one at a time."""
    return subject.lanes() if isinstance(subject, FiringSource) else Lanes(1)


@dataclass(frozen=True, slots=True)
class LogitEffects:
    """What a feature does to the next token directly, through nothing but the unembedding.

    A logit is that of one unit of activation: the feature's decoder direction times the token's
    unembedding, less the mean over the vocabulary. Later layers and the final norm are left out.
    """

    feature: int
    top: tuple[tuple[str, float], ...]
    """Tokens (their surfaces) with the largest logits, largest first."""
    bottom: tuple[tuple[str, float], ...]
    """Tokens with the smallest logits, smallest first."""


@runtime_checkable
class WritingSubject(Subject, Protocol):
    """A Subject that can tell what its features write towards the next token.

    A Subject need not be one: reports then go without.
    """

    def logit_effects(self, features: Sequence[int], n: int) -> list[LogitEffects]:
        """The `n` tokens that each feature raises most, and as many that it lowers most.

        Returns:
            One for each of `features`; none at all where the SAE does not write into the residual
            stream, of which alone the unembedding makes tokens.

        Raises:
            FeatureOutOfRange: a feature id is not one of the SAE's latents.
        """
        ...
