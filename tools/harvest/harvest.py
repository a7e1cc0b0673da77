"""One pass over a corpus sample finds the exemplars of every requested feature at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from tools.activations import FiringSource, Subject
from tools.census import Census, CensusText
from tools.errors import ActivationNotFinite
from tools.exemplars import (
    BANDS,
    SPLITS,
    Exemplar,
    FeatureStatistics,
    Split,
    TokenStatistic,
)
from tools.harvest.ahead import map_ahead
from tools.harvest.bands import ranks
from tools.harvest.common_text import CommonText
from tools.harvest.firing_table import Firings, FiringTable
from tools.harvest.firings import BLOCK_TOKENS, Progress, measure_firings
from tools.harvest.kept import KeptFeatures, features_at_once, keep
from tools.harvest.layout import SampleLayout, lay_out
from tools.harvest.sampling import CorpusSample


@dataclass(frozen=True, slots=True)
class FeatureHarvest:
    """Everything that is kept of one feature."""

    statistics: FeatureStatistics
    exemplars: tuple[Exemplar, ...]
    """By split, band and rank."""
    token_table: tuple[TokenStatistic, ...]
    """Of the propose split, largest share first."""
    census: Census
    """Of the propose split, as far as it is common to all features."""


def harvest(
    subject: Subject | FiringSource,
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
        subject: the model and SAE, or several of them.
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
    token_ids: list[int] = layout.distinct.tolist()
    surfaces = dict(zip(token_ids, subject.surfaces(token_ids), strict=True))
    return Harvest(sample, layout, surfaces, [table])


class Harvest:
    """What passes over one sample measured; exemplars are chosen when asked for.

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
        self.layout = layout
        self.surfaces = surfaces
        """Of every token id in the sample."""
        self._tables = tuple(tables)
        self._table_of = {feature: table for table in tables for feature in table.features}

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
        return Harvest(self.sample, self.layout, self.surfaces, tables)

    def part(self, features: Sequence[int], columns: range, names: range) -> Harvest:
        """Some features of a single pass as a harvest of their own; see `FiringTable.part`."""
        (table,) = self._tables
        part = table.part(features, columns, names)
        return Harvest(self.sample, self.layout, self.surfaces, [part])

    def n_active_tokens(self, feature: int) -> int:
        """Tokens of all splits on which `feature` fires: 0 for a dead one."""
        return self._table_of[feature].count(feature)

    def census(self, feature: int) -> Census:
        """Where the feature fires in text that is common to all features."""
        return self.measured(feature).census

    @cached_property
    def common_text(self) -> CommonText:
        """Which windows the census is of."""
        return CommonText(self.layout, self.sample.seed)

    @cached_property
    def census_text(self) -> CensusText:
        """The same windows as text."""
        windows = [self.sample.windows[int(number)] for number in self.common_text.windows]
        return CensusText(
            tokens=[tuple(map(self.surfaces.__getitem__, w.token_ids)) for w in windows],
            documents=[window.document for window in windows],
            positions=[window.position for window in windows],
            n_proposed=self.common_text.n_proposed,
        )

    def kept(self, features: Sequence[int]) -> Iterator[KeptFeatures]:
        """What is kept of some features, in their order, as many at a time as memory allows.

        Args:
            features: distinct ones; quickest in the order in which they were measured.
        """
        step = features_at_once(self.layout)
        parts = (features[start : start + step] for start in range(0, len(features), step))
        # Made here, before the threads that share it.
        self.common_text  # noqa: B018
        return map_ahead(self._keep, ((some, self._firings(some)) for some in parts))

    def _firings(self, features: Sequence[int]) -> list[Firings]:
        return [self._table_of[feature].of(feature) for feature in features]

    def _keep(self, part: tuple[Sequence[int], Sequence[Firings]]) -> KeptFeatures:
        return keep(*part, self.layout, self.common_text, self.sample.seed)

    def measured(self, feature: int) -> FeatureHarvest:
        """Everything that is kept of one feature."""
        kept = self._keep(([feature], self._firings([feature])))
        numbers, counted = kept.statistics, kept.counted
        return FeatureHarvest(
            statistics=FeatureStatistics(
                feature=feature,
                n_tokens=len(self.layout.token_ids),
                n_active_tokens=int(numbers.n_active_tokens[0]),
                n_active_windows=int(numbers.n_active_windows[0]),
                max_activation=float(numbers.max_activation[0]),
                scale=float(numbers.scale[0]),
            ),
            exemplars=tuple(self._exemplars(kept)),
            token_table=tuple(self._token_table(kept)),
            census=Census(
                self.census_text, int(counted.n_windows[0]), counted.places, counted.levels
            ),
        )

    def statistics(self, feature: int) -> FeatureStatistics:
        """Counts and scale of `feature`."""
        return self.measured(feature).statistics

    def exemplars(self, feature: int, split: Split) -> Sequence[Exemplar]:
        """The windows kept of one split, ordered by band and rank."""
        return [item for item in self.measured(feature).exemplars if item.split == split]

    def token_table(self, feature: int) -> Sequence[TokenStatistic]:
        """Tokens that carry the feature's activation on the propose split."""
        return self.measured(feature).token_table

    def _token_table(self, kept: KeptFeatures) -> Iterator[TokenStatistic]:
        sums = kept.tokens
        for code, active, summed, share in zip(
            sums.codes, sums.counts, sums.sums, sums.shares, strict=True
        ):
            token, present = int(self.layout.distinct[code]), int(self.layout.n_proposed[code])
            yield TokenStatistic(
                token_id=token,
                token=self.surfaces[token],
                n_present=present,
                n_active=int(active),
                mean_activation=float(summed) / present,
                share=float(share),
            )

    def _exemplars(self, kept: KeptFeatures) -> Iterator[Exemplar]:
        choice = kept.choice
        rank_of = ranks(choice.groups * len(BANDS) + choice.bands)
        for place, (begin, end) in enumerate(pairwise([0, *kept.ends.tolist()])):
            window = self.sample.windows[int(choice.windows[place])]
            trace = np.zeros(len(window.token_ids), np.float32)
            trace[kept.places[begin:end]] = kept.activations[begin:end]
            peak = int(trace.argmax())
            split, band = SPLITS[int(choice.groups[place])], BANDS[int(choice.bands[place])]
            rank = int(rank_of[place]) + 1
            yield Exemplar(
                id=f"{split}/{band}/{rank}",
                feature=kept.features[0],
                split=split,
                band=band,
                rank=rank,
                document=window.document,
                position=window.position,
                token_ids=window.token_ids,
                tokens=tuple(self.surfaces[token] for token in window.token_ids),
                activations=trace,
                max_activation=float(trace[peak]),
                peak=peak,
            )
