"""A planted feature: what it means, and how it fires."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from evaluation.planted.text import Text, Vocabulary
from evaluation.planted.where import Where, earlier, token
from tools.rules import Windows

WITHOUT_DECOY = 0.6
"""Strength, as a share, where the decoy has not occurred: enough to count as active."""

VARIATION = 0.1
"""Largest share by which a firing falls short of its strength."""

NOISE_RATE = 0.005
"""Share of the other tokens on which a noisy feature fires weakly."""

NOISE_LEAST, NOISE_MOST = 0.02, 0.14
"""How strongly, as shares of the largest activation."""

_UNIT = 2.0**-21
_PRIMES = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)


@dataclass(frozen=True, kw_only=True, eq=False)
class Planted:
    """A feature of known meaning.

    Everything about it depends on a token and those before it in the same text, the chance parts
    on the token and the two before it alone: a text gets the same activations in every batch.
    """

    name: str
    """Unique; seeds what is left to chance."""
    family: str
    """What kind of meaning it has."""
    statement: str
    """The meaning in one English sentence, decoys left out."""
    grades: tuple[tuple[float, Where], ...]
    """Strengths, as shares of the largest, and where they hold; the strongest counts."""
    decoy: tuple[str, ...] = ()
    """Tokens that it never fires on, but after which, anywhere in the text, it is stronger."""
    noisy: bool = False
    """Whether it fires weakly on a few tokens that have nothing to do with its meaning."""
    rare: bool = False
    """Whether it is meant to fire hardly ever."""

    @property
    def sentence(self) -> str:
        """The whole meaning, with what the decoy does to it."""
        if not self.decoy:
            return self.statement
        decoys = " or ".join(map(repr, self.decoy))
        return f"{self.statement[:-1]}, more strongly once {decoys} has occurred in the text."

    def shares(self, text: Text) -> NDArray[np.float32]:
        """The exact meaning: strength on each token, in [0, 1]; shape (n_tokens,)."""
        shares = np.zeros(len(text), np.float32)
        for strength, where in self.grades:
            np.maximum(shares, np.float32(strength) * where.holds(text), out=shares)
        if self.decoy:
            after = earlier(self._decoyed).holds(text)
            shares *= np.where(after, np.float32(1), np.float32(WITHOUT_DECOY))
        return shares

    def fired(self, text: Text) -> NDArray[np.float32]:
        """What is measured, as shares of the largest activation: meaning, variation and noise."""
        shares = self.shares(text)
        variation, chance, level = self._draws(text)
        shares *= 1 - np.float32(VARIATION) * variation
        if not self.noisy:
            return shares
        hit = (shares == 0) & (chance < NOISE_RATE) & ~self._decoyed.holds(text)
        noise = NOISE_LEAST + (NOISE_MOST - NOISE_LEAST) * level
        return np.where(hit, noise, shares).astype(np.float32)

    def predict_windows(self, windows: Windows) -> NDArray[np.float32]:
        """The exact meaning over windows as rules read them: see `shares`."""
        vocabulary = Vocabulary(windows.vocabulary)
        return self.shares(Text(vocabulary, windows.codes, windows.positions))

    @cached_property
    def _seed(self) -> np.uint64:
        digest = blake2b(self.name.encode(), digest_size=8).digest()
        return np.uint64(int.from_bytes(digest, "big"))

    @cached_property
    def _decoyed(self) -> Where:
        return token(*self.decoy)

    def _draws(self, text: Text) -> tuple[NDArray[np.float32], ...]:
        """Three numbers in [0, 1) per token, from a hash of it and the two tokens before it."""
        known = text.numbers(_number, np.uint64)
        mixed = np.full(len(text), self._seed)
        for by, prime in enumerate(_PRIMES):
            mixed += text.before(known, by) * np.uint64(prime)
        mixed = _scrambled(mixed)
        return tuple(
            ((mixed >> np.uint64(shift)) & np.uint64(0x1FFFFF)).astype(np.float32)
            * np.float32(_UNIT)
            for shift in (0, 21, 42)
        )


def _number(surface: str) -> int:
    digest = blake2b(surface.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _scrambled(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finishing steps of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
