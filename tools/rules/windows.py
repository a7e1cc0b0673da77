"""Token sequences in the form that conditions are evaluated on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""One truth value per token."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Several token sequences laid end to end, every distinct surface stored once.

    A condition on a token's surface is decided once per distinct surface and spread by `codes`; a
    condition on what came before looks back `positions` tokens at most, so that nothing is seen
    across the border between two windows.
    """

    vocabulary: tuple[str, ...]
    """The distinct surfaces, in order of first occurrence."""
    codes: NDArray[np.int64]
    """Shape (n_tokens,): index into `vocabulary`."""
    positions: NDArray[np.int64]
    """Shape (n_tokens,): index of the token within its own window."""
    memo: dict[Hashable, Mask] = field(default_factory=dict[Hashable, Mask], repr=False)
    """Masks computed before: induction asks for the same condition many times."""

    @classmethod
    def of(cls, windows: Iterable[Sequence[str]]) -> Windows:
        """Lay `windows`, each a sequence of token surfaces, end to end."""
        index: dict[str, int] = {}
        codes: list[int] = []
        lengths: list[int] = []
        for tokens in windows:
            codes.extend([index.setdefault(token, len(index)) for token in tokens])
            lengths.append(len(tokens))
        positions = [np.arange(length) for length in lengths]
        return cls(
            vocabulary=tuple(index),
            codes=np.asarray(codes, dtype=np.int64),
            positions=np.concatenate(positions) if positions else np.zeros(0, dtype=np.int64),
        )

    def followed_by(self, other: Windows) -> Windows:
        """These windows and then those of `other`."""
        index = {surface: code for code, surface in enumerate(self.vocabulary)}
        codes = [index.setdefault(surface, len(index)) for surface in other.vocabulary]
        return Windows(
            vocabulary=tuple(index),
            codes=np.concatenate([self.codes, np.asarray(codes, dtype=np.int64)[other.codes]]),
            positions=np.concatenate([self.positions, other.positions]),
        )

    def __len__(self) -> int:
        """Number of tokens in all windows."""
        return len(self.codes)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Shape (n_tokens,): index of the first token of each token's window."""
        return np.arange(len(self)) - self.positions

    def spelled(self, codes: Iterable[int]) -> list[str]:
        """The surfaces of some codes."""
        return [self.vocabulary[code] for code in codes]

    def surfaces(self, predicate: Callable[[str], bool]) -> Mask:
        """Tokens whose surface meets `predicate`, which is asked once per distinct surface."""
        table = np.fromiter(map(predicate, self.vocabulary), dtype=bool, count=len(self.vocabulary))
        return table[self.codes]

    def remember(self, key: Hashable, compute: Callable[[Windows], Mask]) -> Mask:
        """The mask under `key`, computed at the first call only."""
        known = self.memo.get(key)
        if known is None:
            known = self.memo[key] = compute(self)
        return known
