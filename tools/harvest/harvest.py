"""One pass over a corpus sample finds the exemplars of every requested feature at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.activations import Subject
from tools.errors import ActivationNotFinite
from tools.exemplars import (
    SPLITS,
    Exemplar,
    FeatureStatistics,
    Split,
    TokenStatistic,
)
from tools.harvest.bands import TOP_WINDOWS
from tools.harvest.firing_table import Firings, FiringTable
from tools.harvest.firings import BLOCK_TOKENS, Progress, measure_firings
from tools.harvest.kept import KeptWindows, WindowMaxima, keep_windows
from tools.harvest.layout import SampleLayout, lay_out
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
    folder: Path | None = None,
    batch_tokens: int | None = None,
    block_tokens: int = BLOCK_TOKENS,
    progress: Progress | None = None,
) -> Harvest:
    """Measure `features` on every window of `sample`, in one pass.

    A feature that cannot be measured is left out, and named in `Harvest.failures`.

    Args:
        subject: the model and SAE.
        sample: the windows to measure.
        features: feature ids; repeated ones are measured once.
        folder: see `measure_firings`; it must outlive the Harvest.
        batch_tokens: tokens per forward pass; None: what is quickest.
        block_tokens: tokens per block.
        progress: called with the tokens done and the tokens in all after each batch.

    Raises:
        FeatureOutOfRange: a feature id is not one of the SAE's latents.
        ActivationNotFinite: the model gives NaN or an infinity, or every feature does.
        OutOfMemory: a single window does not fit the memory.
        DatabaseFull: the disk is full.
    """
    layout = lay_out(sample)
    table = measure_firings(
        subject,
        sample,
        layout,
        list(dict.fromkeys(features)),
        folder=folder,
        batch_tokens=batch_tokens,
        block_tokens=block_tokens,
        progress=progress,
    )
    token_ids: list[int] = sorted(layout.holders)
    surfaces = dict(zip(token_ids, subject.surfaces(token_ids), strict=True))
    return Harvest(sample, layout, surfaces, [table])


class Harvest:
    """What passes over one sample measured; exemplars are made when asked for.

    An ExemplarSource.
    """

    def __init__(
        self,
        sample: CorpusSample,
        layout: SampleLayout,
        surfaces: Mapping[int, str],
        tables: Sequence[FiringTable],
    ) -> None:
        self.sample = sample
        self._layout = layout
        self._surfaces = surfaces
        self._tables = tuple(tables)
        self._table_of = {feature: table for table in tables for feature in table.features}
        self._tokens: dict[int, tuple[str, ...]] = {}

    @property
    def features(self) -> tuple[int, ...]:
        """The measured features, in the order they were asked for."""
        return tuple(self._table_of)

    @property
    def failures(self) -> Mapping[int, ActivationNotFinite]:
        """The features that could not be measured, and why."""
        return {
            feature: error for table in self._tables for feature, error in table.failures.items()
        }

    def with_firings_of(self, other: Harvest) -> Harvest:
        """The features of two passes over one sample as if measured in one."""
        if other.sample.fingerprint != self.sample.fingerprint:
            raise ValueError("Harvests of different samples cannot be joined.")
        tables = (*self._tables, *other._tables)
        return Harvest(self.sample, self._layout, self._surfaces, tables)

    def n_active_tokens(self, feature: int) -> int:
        """Tokens of all splits on which `feature` fires: 0 for a dead one."""
        return self._table_of[feature].count(feature)

    def statistics(self, feature: int) -> FeatureStatistics:
        """Counts and scale of `feature`."""
        return self._statistics(feature, WindowMaxima.of(self._firings(feature), self._layout))

    def exemplars(self, feature: int, split: Split) -> Sequence[Exemplar]:
        """The windows kept of one split, ordered by band and rank."""
        return [item for item in self.measured(feature).exemplars if item.split == split]

    def token_table(self, feature: int) -> Sequence[TokenStatistic]:
        """Tokens that carry the feature's activation on the propose split."""
        return self._token_table(self._firings(feature))

    def measured(self, feature: int) -> FeatureHarvest:
        """Everything that is kept of one feature."""
        return FeatureHarvest(
            statistics=self.statistics(feature),
            exemplars=tuple(
                exemplar
                for kept in self.kept(feature)
                for exemplar in self._exemplars(feature, kept)
            ),
            token_table=tuple(self.token_table(feature)),
        )

    def kept(self, feature: int) -> Sequence[KeptWindows]:
        """The windows kept of one feature, split by split: what exemplars are made of."""
        firings = self._firings(feature)
        maxima = WindowMaxima.of(firings, self._layout)
        likeness = self._likeness(self._token_sums(firings))
        seed = self.sample.seed & 0xFFFF_FFFF_FFFF_FFFF
        return [
            keep_windows(
                firings,
                maxima,
                self._layout,
                split,
                likeness,
                np.random.default_rng([seed, feature, SPLITS.index(split)]),
            )
            for split in SPLITS
        ]

    def _firings(self, feature: int) -> Firings:
        return self._table_of[feature].of(feature)

    def _statistics(self, feature: int, maxima: WindowMaxima) -> FeatureStatistics:
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
        sums = self._token_sums(firings)
        return tuple(
            TokenStatistic(
                token_id=token,
                token=self._surfaces[token],
                n_present=present,
                n_active=active,
                mean_activation=summed / present,
                share=summed / sums.total,
            )
            for token, active, summed in zip(
                sums.tokens.tolist(), sums.counts.tolist(), sums.sums.tolist(), strict=True
            )
            for present in (self._n_proposed[token],)
        )

    def _token_sums(self, firings: Firings) -> _TokenSums:
        window_of, token_ids = self._layout.window_of, self._layout.token_ids
        proposed = self._layout.split_of[window_of[firings.places]] == SPLITS.index("propose")
        places, values = firings.places[proposed], firings.values[proposed].astype(np.float64)
        tokens, inverse, counts = np.unique(
            token_ids[places], return_inverse=True, return_counts=True
        )
        sums = np.bincount(inverse, weights=values, minlength=len(tokens)).astype(np.float64)
        order = np.lexsort((tokens, -sums))[:TOKEN_TABLE_ROWS]
        return _TokenSums(tokens[order], counts[order], sums[order], float(sums.sum()))

    @cached_property
    def _n_proposed(self) -> dict[int, int]:
        """Occurrences of each token in the propose split."""
        layout = self._layout
        proposed = layout.split_of[layout.window_of] == SPLITS.index("propose")
        tokens, counts = np.unique(layout.token_ids[proposed], return_counts=True)
        return dict(zip(tokens.tolist(), counts.tolist(), strict=True))

    def _likeness(self, sums: _TokenSums) -> NDArray[np.float64]:
        """Per window, the summed share of the trigger tokens it holds; shape (n_windows,)."""
        likeness = np.zeros(len(self.sample.windows))
        covered = 0.0
        tokens, summed = sums.tokens[:TRIGGER_TOKENS], sums.sums[:TRIGGER_TOKENS]
        for token, activation in zip(tokens.tolist(), summed.tolist(), strict=True):
            if covered >= TRIGGER_SHARE:
                break
            share = activation / sums.total
            likeness[self._layout.holders[token]] += share
            covered += share
        return likeness

    def _exemplars(self, feature: int, kept: KeptWindows) -> Iterator[Exemplar]:
        indices: list[int] = kept.windows.tolist()
        traces = kept.traces(self._layout)
        for (band, rank), index, trace in zip(kept.bands, indices, traces, strict=True):
            window = self.sample.windows[index]
            peak = int(trace.argmax())
            yield Exemplar(
                id=f"{kept.split}/{band}/{rank}",
                feature=feature,
                split=kept.split,
                band=band,
                rank=rank,
                document=window.document,
                position=window.position,
                token_ids=window.token_ids,
                tokens=self._window_tokens(index),
                activations=trace,
                max_activation=float(trace[peak]),
                peak=peak,
            )

    def _window_tokens(self, index: int) -> tuple[str, ...]:
        # Windows are shared by many features' exemplars: one tuple serves them all.
        if index not in self._tokens:
            ids = self.sample.windows[index].token_ids
            self._tokens[index] = tuple(self._surfaces[token] for token in ids)
        return self._tokens[index]


class _TokenSums(NamedTuple):
    """What falls on each token of the propose split, most first."""

    tokens: NDArray[np.int64]
    counts: NDArray[np.intp]
    sums: NDArray[np.float64]
    total: float
    """Over all tokens, those left out included."""
