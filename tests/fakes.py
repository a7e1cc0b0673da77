"""A subject whose features are plain functions of the tokens: exact, instant, and reversible."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from tools.activations import SubjectInfo, TextActivations
from tools.errors import EmptyText, FeatureOutOfRange, TextTooLong

FeatureFunction = Callable[[Sequence[str]], Sequence[float]]
"""Tokens of a text to one activation each."""

_WORDS = (
    "def class return if else for while in not and or None True False self import from as with "
    "the a of to is it this that be are was an on by at one two three cat dog house tree river "
    "London Paris Monday Tuesday red green blue run walk say think small big old new value name "
    "list dict key index error raise except try print open close read write file line text"
)
DEFAULT_WORDS = tuple(_WORDS.split())


@dataclass(frozen=True)
class Planted:
    """A feature of known meaning."""

    name: str
    function: FeatureFunction


def strength(tokens: Sequence[str], index: int) -> float:
    """A number in [0.25, 1] that depends on a token and the two before it."""
    digest = blake2b("\0".join(tokens[max(0, index - 2) : index + 1]).encode(), digest_size=2)
    return 0.25 + 0.75 * int.from_bytes(digest.digest(), "big") / 0xFFFF


def on_tokens(name: str, *words: str, scale: float = 8.0, after: str | None = None) -> Planted:
    """Fires on the given words, at most `scale`; only right after `after` if that is given."""

    def function(tokens: Sequence[str]) -> list[float]:
        bare = [token.strip() for token in tokens]
        return [
            scale * strength(tokens, index)
            if token in words and (after is None or (index > 0 and bare[index - 1] == after))
            else 0.0
            for index, token in enumerate(bare)
        ]

    return Planted(name, function)


def on_pattern(name: str, pattern: str, scale: float = 8.0) -> Planted:
    """Fires on tokens that match a regular expression, space included."""
    compiled = re.compile(pattern)

    def function(tokens: Sequence[str]) -> list[float]:
        return [
            scale * strength(tokens, index) if compiled.fullmatch(token) else 0.0
            for index, token in enumerate(tokens)
        ]

    return Planted(name, function)


DEFAULT_FEATURES: tuple[Planted, ...] = (
    on_tokens("the word return", "return"),
    on_pattern("digits", r"\d"),
    on_pattern("capitalised words", r" ?[A-Z]\w+"),
    Planted("dead", lambda tokens: [0.0] * len(tokens)),
    on_tokens("None after is", "None", after="is", scale=20.0),
    Planted("every token", lambda tokens: [0.5] * len(tokens)),
    on_tokens("animals", "cat", "dog", scale=3.0),
    on_pattern("punctuation", r" ?[^\w\s]"),
)


class FakeSubject:
    """A Subject over a fixed vocabulary: known words, with or without a space, and characters.

    Token ids mean the same in every process. `forward_passes` counts batches, `seen` the texts
    of `activations`.
    """

    def __init__(
        self,
        features: Sequence[Planted] = DEFAULT_FEATURES,
        words: Sequence[str] = DEFAULT_WORDS,
        window_size: int = 32,
    ) -> None:
        self.features = tuple(features)
        self.window_size = window_size
        self.forward_passes = 0
        self.seen: list[str] = []
        spaced = [space + word for word in dict.fromkeys(words) for space in ("", " ")]
        self._surfaces = [*map(chr, range(256)), "\N{REPLACEMENT CHARACTER}", *spaced]
        self._ids = {surface: index for index, surface in enumerate(self._surfaces)}
        longest_first = sorted(map(re.escape, spaced), key=len, reverse=True)
        self._pattern = re.compile(rf"(?:{'|'.join(longest_first)})(?!\w)|(?s:.)")

    @property
    def info(self) -> SubjectInfo:
        named = repr([self._surfaces, [item.name for item in self.features], self.window_size])
        return SubjectInfo(
            model="fake-model",
            sae="fake-sae",
            architecture="standard",
            hook_point="blocks.1.hook_resid_post",
            n_features=len(self.features),
            context_size=self.window_size + 1,
            prepend_bos=True,
            vocabulary_size=len(self._surfaces),
            fingerprint=blake2b(named.encode(), digest_size=16).hexdigest(),
        )

    def tokenize(self, text: str) -> list[int]:
        return [self._ids.get(match[0], 256) for match in self._pattern.finditer(text)]

    def surfaces(self, token_ids: Sequence[int]) -> list[str]:
        return [self._surfaces[token] for token in token_ids]

    def activations(self, texts: Sequence[str], features: Sequence[int]) -> list[TextActivations]:
        windows = [self.tokenize(text) for text in texts]
        for text, window in zip(texts, windows, strict=True):
            if not window:
                raise EmptyText("A text has no tokens.")
            if len(window) > self.window_size:
                raise TextTooLong(f"{text[:20]!r} has {len(window)} tokens.")
        self.seen += texts
        encoded = self.encode_windows(windows, features)
        return [
            TextActivations(text, tuple(window), tuple(self.surfaces(window)), values)
            for text, window, values in zip(texts, windows, encoded, strict=True)
        ]

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        for feature in features:
            if not 0 <= feature < len(self.features):
                raise FeatureOutOfRange(f"Feature {feature} of {len(self.features)}.")
        if any(len(window) > self.window_size for window in windows):
            raise TextTooLong("A window is longer than the context.")
        self.forward_passes += 1
        return [self._encode(self.surfaces(window), features) for window in windows]

    def _encode(self, tokens: Sequence[str], features: Sequence[int]) -> NDArray[np.float32]:
        columns = [self.features[feature].function(tokens) for feature in features]
        return np.array(columns, np.float32).reshape(len(features), len(tokens)).T


def fake_corpus(n_documents: int = 60, n_sentences: int = 12, seed: int = 0) -> list[str]:
    """Texts of known words, digits, capitals and punctuation, all different."""
    random = np.random.default_rng(seed)
    vocabulary = [*DEFAULT_WORDS, *"0123456789"]
    texts: list[str] = []
    for number in range(n_documents):
        sentences = [
            " ".join(random.choice(vocabulary, size=int(random.integers(3, 12)))) + "."
            for _ in range(n_sentences)
        ]
        texts.append(f"{number}: " + "\n".join(sentences))
    return texts
