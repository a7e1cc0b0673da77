"""What is left to be scored: one piece of work per feature, explainer, judge and scorer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evaluation.scorers.registry import SCORERS
from evaluation.scores import ScoreKey


@dataclass(frozen=True, slots=True)
class Piece:
    """One scorer on one explanation by one judge."""

    feature: int
    explainer: str
    judge: str
    scorer: str
    digest: str
    """Of all that decides the scores; computed without measuring anything."""

    @property
    def keys(self) -> list[ScoreKey]:
        """The rows of `scores` that come of it."""
        metrics = SCORERS[self.scorer].metrics
        return [ScoreKey(self.feature, self.explainer, metric, self.judge) for metric in metrics]


@dataclass(frozen=True, slots=True)
class Basis:
    """What scores depend on beside the feature."""

    subject: str
    """Fingerprint of model and SAE."""
    sample: str
    """Fingerprint of the corpus sample."""
    seed: int
    explainers: Mapping[str, str]
    """Name to a digest of how the explanations are made."""
    judges: Mapping[str, str]
    """Name to a digest of how it judges."""
    scorers: Mapping[str, Sequence[str]]
    """Judge to the names of its scorers."""

    def pieces(self, agentic: Mapping[int, str]) -> list[Piece]:
        """All there is to do.

        Args:
            agentic: feature to the digest of its explanation, for the features to be scored.
        """
        return [
            Piece(feature, explainer, judge, scorer, self._digest(told, explainer, judge, scorer))
            for feature, told in agentic.items()
            for explainer in self.explainers
            for judge, scorers in self.scorers.items()
            for scorer in scorers
        ]

    def _digest(self, told: str, explainer: str, judge: str, scorer: str) -> str:
        made, judged = self.explainers[explainer], self.judges[judge]
        version = SCORERS[scorer].version
        return digest_of(
            self.subject, self.sample, self.seed, told, explainer, made, judged, scorer, version
        )


def unfinished(pieces: Iterable[Piece], known: Mapping[ScoreKey, str]) -> dict[int, list[Piece]]:
    """The pieces whose scores are not stored, or are of something else, by feature."""
    left: dict[int, list[Piece]] = {}
    for piece in pieces:
        if any(known.get(key) != piece.digest for key in piece.keys):
            left.setdefault(piece.feature, []).append(piece)
    return left


def digest_of(*parts: object) -> str:
    """Hash of JSON values."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
