"""Exemplars: corpus windows with a feature's measured activations, kept in the DuckDB file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tools.census import Census

Split = Literal["propose", "test", "evaluate"]
"""Documents are divided once: hypotheses come from `propose`, experiments borrow contexts from
`test`, scores are taken on `evaluate`."""

SPLITS: tuple[Split, ...] = ("propose", "test", "evaluate")
"""Every split, in the order of the method."""

KEPT_SPLITS: tuple[Split, ...] = ("propose", "test")
"""Splits of which exemplars are kept: what nobody may look at need not be stored."""

Band = Literal["top", "quantile_1", "quantile_2", "quantile_3", "quantile_4", "random", "near_miss"]
"""Why a window was kept: `top` by maximum activation; `quantile_1` (weakest quarter of the windows
that fire) to `quantile_4` (strongest); `random` and `near_miss` are measured NOT to fire, the
latter although they hold tokens on which the feature usually does."""

BANDS: tuple[Band, ...] = (
    "top",
    "quantile_4",
    "quantile_3",
    "quantile_2",
    "quantile_1",
    "random",
    "near_miss",
)
"""Every band, strongest first; the order in which exemplars are listed."""


@dataclass(frozen=True, slots=True, eq=False)
class Exemplar:
    """One corpus window and a feature's activations on it."""

    id: str
    """`<split>/<band>/<rank>`, unique within a feature."""
    feature: int
    split: Split
    band: Band
    rank: int
    """Order within the band, from 1."""
    document: str
    position: int
    """Character offset of the window's first token in the document's text."""
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    """Surfaces of the tokens, special tokens left out."""
    activations: NDArray[np.float32]
    """Shape (n_tokens,)."""
    max_activation: float
    peak: int
    """Index of the token with the maximum."""


@dataclass(frozen=True, slots=True)
class FeatureStatistics:
    """How often and how strongly a feature fires on the corpus."""

    feature: int
    n_tokens: int
    """Tokens measured, all splits."""
    n_active_tokens: int
    """Tokens with an activation above zero, all splits."""
    n_active_windows: int
    """Windows of the propose split with an activation above zero."""
    max_activation: float
    """Largest activation on the propose split; 0 when it never fired there."""
    scale: float
    """Mean of the top-10 window maxima of the propose split: the feature's own unit."""


@dataclass(frozen=True, slots=True)
class TokenStatistic:
    """What the propose split says of one token and one feature.

    Means and shares read back from a database have the precision of activations (float32).
    """

    token_id: int
    token: str
    n_present: int
    """Occurrences in the propose split."""
    n_active: int
    """Occurrences on which the feature fired."""
    mean_activation: float
    """Mean over all occurrences, silent ones included."""
    share: float
    """Share of the feature's summed activation that falls on this token, in [0, 1] but for
    rounding."""


class ExemplarSource(Protocol):
    """Where policies and nodes read what the harvest measured."""

    def statistics(self, feature: int) -> FeatureStatistics:
        """Counts and scale of `feature`."""
        ...

    def exemplars(self, feature: int, split: Split) -> Sequence[Exemplar]:
        """The windows kept of one split, ordered by band and rank."""
        ...

    def token_table(self, feature: int) -> Sequence[TokenStatistic]:
        """Tokens that carry the feature's activation on the propose split, largest share first."""
        ...

    def census(self, feature: int) -> Census:
        """Where the feature fires in text that is common to all features."""
        ...
