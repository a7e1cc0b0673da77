"""Baselines without words: tables of the mean activation of each token, and of each pair.

They hold more numbers than any explanation has words, and say nothing about why: an explanation
that does not beat them has found no more than a look-up would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.baselines.baseline import NEVER_FIRES, Desk, missing
from evaluation.candidate import Candidate
from evaluation.held_out import FeatureText
from tools.rules import Windows

Floats = NDArray[np.float64]

PRIOR = 1.0
"""What a token's own mean counts for in the mean of a pair, in occurrences of the pair."""

_NOWHERE = -1


@dataclass(frozen=True, eq=False)
class TokenMeans:
    """Predicts of each token its mean activation; a token that was never seen is silent."""

    codes: Mapping[str, int]
    """Surface to its row."""
    means: Floats
    """Shape (n_surfaces,): shares of the feature's scale, in [0, 1]."""

    @classmethod
    def of(cls, proposed: FeatureText, scale: float) -> TokenMeans:
        """Means over all occurrences, silent ones included."""
        windows = proposed.text.laid_out()
        means = _means(windows.codes, proposed.activations, len(windows.vocabulary))
        codes = {surface: code for code, surface in enumerate(windows.vocabulary)}
        return cls(codes, np.clip(means / scale, 0.0, 1.0))

    def predict_windows(self, windows: Windows) -> NDArray[np.float32]:
        """Predicted activations as shares of the scale; shape (n_tokens,)."""
        rows = self.rows(windows)
        return np.where(rows == _NOWHERE, 0.0, self.means[rows]).astype(np.float32)

    def rows(self, windows: Windows) -> NDArray[np.int64]:
        """Row of each token, -1 where its surface has none; shape (n_tokens,)."""
        known = [self.codes.get(surface, _NOWHERE) for surface in windows.vocabulary]
        return np.asarray(known, np.int64)[windows.codes]

    def digest(self) -> str:
        """Hash of the table."""
        surfaces = "\0".join(self.codes).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(surfaces + self.means.tobytes(), digest_size=16).hexdigest()


@dataclass(frozen=True, eq=False)
class PairMeans:
    """Predicts of each token its mean activation after the token before it.

    A pair's mean is drawn towards its token's: `(n * mean of the pair + PRIOR * mean of the token)
    / (n + PRIOR)` for a pair seen n times, a Dirichlet prior (MacKay and Peto, 1995, Natural
    Language Engineering 1). A pair that was never seen, and the first token of a window, have
    their token's mean.
    """

    tokens: TokenMeans
    pairs: NDArray[np.int64]
    """Shape (n_pairs,): ascending keys, row of the token before times n_surfaces plus row."""
    means: Floats
    """Shape (n_pairs,): shares of the feature's scale, in [0, 1]."""

    @classmethod
    def of(cls, proposed: FeatureText, scale: float) -> PairMeans:
        """Means over all pairs within a window."""
        tokens = TokenMeans.of(proposed, scale)
        keys = _pair_keys(tokens, proposed.text.laid_out())
        inside = keys != _NOWHERE
        pairs, which, n = np.unique(keys[inside], return_inverse=True, return_counts=True)
        activations = proposed.activations[inside]
        own = np.clip(_means(which, activations, len(pairs)) / scale, 0.0, 1.0)
        common = tokens.means[pairs % max(1, len(tokens.means))]
        return cls(tokens, pairs, (n * own + PRIOR * common) / (n + PRIOR))

    def predict_windows(self, windows: Windows) -> NDArray[np.float32]:
        """Predicted activations as shares of the scale; shape (n_tokens,)."""
        predicted = self.tokens.predict_windows(windows)
        keys = _pair_keys(self.tokens, windows)
        places = np.searchsorted(self.pairs, keys)
        known = np.append(self.pairs, _NOWHERE)[places] == keys
        known &= keys != _NOWHERE
        predicted[known] = self.means[places[known]]
        return predicted

    def digest(self) -> str:
        """Hash of the table."""
        table = self.pairs.tobytes() + self.means.tobytes() + self.tokens.digest().encode()
        return hashlib.blake2b(table, digest_size=16).hexdigest()


class UnigramTable:
    """The mean activation of each token of the propose split."""

    name = "unigram_table"

    def asks(self, policy: str) -> bool:
        """Never."""
        return False

    def recipe(self, agentic: Mapping[int, Candidate]) -> str:
        """Its version."""
        return "1"

    def explain(self, desk: Desk) -> Candidate:
        """A table; no words."""
        if desk.scale <= 0:
            return missing(self.name, desk.feature, NEVER_FIRES)
        table = TokenMeans.of(desk.proposed, desk.scale)
        return _candidate(self.name, desk.feature, table, len(table.means))


class BigramTable:
    """The mean activation of each token of the propose split after the token before it."""

    name = "bigram_table"

    def asks(self, policy: str) -> bool:
        """Never."""
        return False

    def recipe(self, agentic: Mapping[int, Candidate]) -> str:
        """Its version."""
        return f"1 prior={PRIOR}"

    def explain(self, desk: Desk) -> Candidate:
        """A table; no words."""
        if desk.scale <= 0:
            return missing(self.name, desk.feature, NEVER_FIRES)
        table = PairMeans.of(desk.proposed, desk.scale)
        return _candidate(self.name, desk.feature, table, len(table.means))


def _candidate(
    explainer: str, feature: int, table: TokenMeans | PairMeans, n_rows: int
) -> Candidate:
    return Candidate(
        explainer=explainer,
        feature=feature,
        description=None,
        predictor=table,
        content={"rows": n_rows, "digest": table.digest()},
    )


def _means(rows: NDArray[np.int64], values: NDArray[np.float32], n_rows: int) -> Floats:
    """Mean value of each row that occurs."""
    sums = np.bincount(rows, weights=values, minlength=n_rows)
    return sums / np.maximum(1, np.bincount(rows, minlength=n_rows))


def _pair_keys(tokens: TokenMeans, windows: Windows) -> NDArray[np.int64]:
    """Key of each token with the one before it, -1 where there is none or one is unknown."""
    rows = tokens.rows(windows)
    before = np.roll(rows, 1)
    known = (windows.positions > 0) & (rows != _NOWHERE) & (before != _NOWHERE)
    return np.where(known, before * len(tokens.means) + rows, _NOWHERE)
