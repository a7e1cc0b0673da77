"""One pass over a corpus sample finds the exemplars of every requested feature at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tools.activations import Subject
from tools.exemplars import (
    BANDS,
    SPLITS,
    Band,
    Exemplar,
    FeatureStatistics,
    Split,
    TokenStatistic,
)
from tools.harvest.bands import TOP_WINDOWS, Windows, choose_firing, choose_silent
from tools.harvest.firings import (
    BATCH_TOKENS,
    Firings,
    Progress,
    SampleLayout,
    find_firings,
    lay_out,
)
from tools.harvest.sampling import CorpusSample

TOKEN_TABLE_ROWS = 256
"""Tokens kept per feature, by share."""

TRIGGER_SHARE = 0.8
"""A near miss holds one of the tokens that together carry this share of the activation."""

TRIGGER_TOKENS = 32
"""Most tokens that count as triggers."""


@dataclass(frozen=True, slots=True)
class FeatureHarvest:
    """Everything that is kept of one feature."""

    statistics: FeatureStatistics
    exemplars: tuple[Exemplar, ...]
    """By split, band and rank."""
    token_table: tuple[TokenStatistic, ...]
    """Of the propose split, largest share first."""


def harvest(
    subject: Subject,
    sample: CorpusSample,
    features: Sequence[int],
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress | None = None,
) -> Harvest:
    """Measure `features` on every window of `sample`, in one pass.

    Args:
        subject: the model and SAE.
        sample: the windows to measure.
        features: feature ids; repeated ones are measured once.
        batch_tokens: tokens per forward pass, padding counted.
        progress: called with the tokens done and the tokens in all after each batch.

    Raises:
        FeatureOutOfRange: a feature id is not one of the SAE's latents.
        ActivationNotFinite: an activation is NaN or infinite.
    """
    distinct = list(dict.fromkeys(features))
    layout = lay_out(sample)
    firings = find_firings(
        subject, sample, layout, distinct, batch_tokens=batch_tokens, progress=progress
    )
    token_ids: list[int] = sorted(layout.holders)
    surfaces = dict(zip(token_ids, subject.surfaces(token_ids), strict=True))
    return Harvest(sample, layout, surfaces, firings)


class Harvest:
    """What one pass measured; exemplars are made when asked for. An ExemplarSource."""

    def __init__(
        self,
        sample: CorpusSample,
        layout: SampleLayout,
        surfaces: Mapping[int, str],
        firings: Mapping[int, Firings],
    ) -> None:
        self.sample = sample
        self._layout = layout
        self._surfaces = surfaces
        self._firings = dict(firings)
        self._tokens: dict[int, tuple[str, ...]] = {}

    @property
    def features(self) -> tuple[int, ...]:
        """The measured features, in the order they were asked for."""
        return tuple(self._firings)

    def with_firings_of(self, other: Harvest) -> Harvest:
        """The features of two passes over one sample as if measured in one."""
        if other.sample.fingerprint != self.sample.fingerprint:
            raise ValueError("Harvests of different samples cannot be joined.")
        return Harvest(self.sample, self._layout, self._surfaces, self._firings | other._firings)

    def n_active_tokens(self, feature: int) -> int:
        """Tokens of all splits on which `feature` fires: 0 for a dead one."""
        return len(self._firings[feature].places)

    def statistics(self, feature: int) -> FeatureStatistics:
        """Counts and scale of `feature`."""
        return self._statistics(feature, _WindowMaxima.of(self._firings[feature], self._layout))

    def exemplars(self, feature: int, split: Split) -> Sequence[Exemplar]:
        """The windows kept of one split, ordered by band and rank."""
        return [item for item in self.measured(feature).exemplars if item.split == split]

    def token_table(self, feature: int) -> Sequence[TokenStatistic]:
        """Tokens that carry the feature's activation on the propose split."""
        return self._token_table(self._firings[feature])

    def measured(self, feature: int) -> FeatureHarvest:
        """Everything that is kept of one feature."""
        firings = self._firings[feature]
        maxima = _WindowMaxima.of(firings, self._layout)
        table = self._token_table(firings)
        likeness = self._likeness(table)
        return FeatureHarvest(
            statistics=self._statistics(feature, maxima),
            exemplars=tuple(
                exemplar
                for split in SPLITS
                for exemplar in self._split_exemplars(feature, split, maxima, likeness)
            ),
            token_table=table,
        )

    def _statistics(self, feature: int, maxima: _WindowMaxima) -> FeatureStatistics:
        _, proposed = maxima.within(self._layout, "propose")
        strongest = np.sort(proposed.astype(np.float64))[::-1][:TOP_WINDOWS]
        return FeatureStatistics(
            feature=feature,
            n_tokens=len(self._layout.token_ids),
            n_active_tokens=self.n_active_tokens(feature),
            n_active_windows=len(proposed),
            max_activation=float(strongest[0]) if len(strongest) else 0.0,
            scale=float(strongest.mean()) if len(strongest) else 0.0,
        )

    def _token_table(self, firings: Firings) -> tuple[TokenStatistic, ...]:
        window_of, token_ids = self._layout.window_of, self._layout.token_ids
        proposed = self._layout.split_of[window_of[firings.places]] == SPLITS.index("propose")
        places, values = firings.places[proposed], firings.values[proposed].astype(np.float64)
        tokens, inverse, counts = np.unique(
            token_ids[places], return_inverse=True, return_counts=True
        )
        sums = np.bincount(inverse, weights=values, minlength=len(tokens))
        order = np.lexsort((tokens, -sums))[:TOKEN_TABLE_ROWS]
        total = float(sums.sum())
        return tuple(
            TokenStatistic(
                token_id=token,
                token=self._surfaces[token],
                n_present=present,
                n_active=active,
                mean_activation=summed / present,
                share=summed / total,
            )
            for token, active, summed in zip(
                tokens[order].tolist(), counts[order].tolist(), sums[order].tolist(), strict=True
            )
            for present in (self._n_proposed[token],)
        )

    @cached_property
    def _n_proposed(self) -> dict[int, int]:
        """Occurrences of each token in the propose split."""
        layout = self._layout
        proposed = layout.split_of[layout.window_of] == SPLITS.index("propose")
        tokens, counts = np.unique(layout.token_ids[proposed], return_counts=True)
        return dict(zip(tokens.tolist(), counts.tolist(), strict=True))

    def _likeness(self, table: Iterable[TokenStatistic]) -> NDArray[np.float64]:
        """Per window, the summed share of the trigger tokens it holds; shape (n_windows,)."""
        likeness = np.zeros(len(self.sample.windows))
        covered = 0.0
        for row in list(table)[:TRIGGER_TOKENS]:
            if covered >= TRIGGER_SHARE:
                break
            likeness[self._layout.holders[row.token_id]] += row.share
            covered += row.share
        return likeness

    def _split_exemplars(
        self, feature: int, split: Split, maxima: _WindowMaxima, likeness: NDArray[np.float64]
    ) -> list[Exemplar]:
        random = np.random.default_rng(
            [self.sample.seed & 0xFFFF_FFFF_FFFF_FFFF, feature, SPLITS.index(split)]
        )
        firing, firing_maxima = maxima.within(self._layout, split)
        silent = np.setdiff1d(self._layout.windows_in(split), firing, assume_unique=True)
        chosen = choose_firing(firing, firing_maxima, random)
        chosen |= choose_silent(silent, likeness[silent], random)
        return [
            self._exemplar(feature, split, band, rank, int(window))
            for band in BANDS
            for rank, window in enumerate(chosen[band], start=1)
        ]

    def _exemplar(self, feature: int, split: Split, band: Band, rank: int, index: int) -> Exemplar:
        window = self.sample.windows[index]
        activations = self._window_activations(self._firings[feature], index)
        peak = int(activations.argmax())
        return Exemplar(
            id=f"{split}/{band}/{rank}",
            feature=feature,
            split=split,
            band=band,
            rank=rank,
            document=window.document,
            position=window.position,
            token_ids=window.token_ids,
            tokens=self._window_tokens(index),
            activations=activations,
            max_activation=float(activations[peak]),
            peak=peak,
        )

    def _window_activations(self, firings: Firings, index: int) -> NDArray[np.float32]:
        begin, end = self._layout.starts[index], self._layout.starts[index + 1]
        first, last = np.searchsorted(firings.places, [begin, end])
        activations = np.zeros(int(end - begin), np.float32)
        activations[firings.places[first:last] - begin] = firings.values[first:last]
        return activations

    def _window_tokens(self, index: int) -> tuple[str, ...]:
        # Windows are shared by many features' exemplars: one tuple serves them all.
        if index not in self._tokens:
            ids = self.sample.windows[index].token_ids
            self._tokens[index] = tuple(self._surfaces[token] for token in ids)
        return self._tokens[index]


@dataclass(frozen=True, slots=True, eq=False)
class _WindowMaxima:
    """The windows in which one feature fires, ascending, with the largest activation in each."""

    windows: Windows
    maxima: NDArray[np.float32]

    @classmethod
    def of(cls, firings: Firings, layout: SampleLayout) -> _WindowMaxima:
        if not len(firings.places):
            return cls(np.empty(0, np.intp), np.empty(0, np.float32))
        holding = layout.window_of[firings.places]
        begins = np.flatnonzero(np.diff(holding, prepend=-1))
        maxima = np.maximum.reduceat(firings.values, begins)
        return cls(holding[begins].astype(np.intp), maxima)

    def within(self, layout: SampleLayout, split: Split) -> tuple[Windows, NDArray[np.float32]]:
        kept = layout.split_of[self.windows] == SPLITS.index(split)
        return self.windows[kept], self.maxima[kept]
