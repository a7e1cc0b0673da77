"""Passes over one sample that several subjects share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from tools.activations import FiringSource, Subject
from tools.corpus import CorpusSpec
from tools.errors import ActivationNotFinite
from tools.harvest.firings import Progress, tokens_per_block
from tools.harvest.harvest import Harvest, harvest
from tools.harvest.sampling import CorpusSample, sample_corpus
from tools.harvest.unfinished import UnfinishedHarvest


@dataclass(frozen=True, eq=False)
class SharedPasses:
    """Measures features of several subjects, each time in one pass."""

    source: Subject | FiringSource
    """Has the features of all, counted through."""
    subjects: Sequence[Subject]
    """All that cut the corpus into the same windows."""
    spec: CorpusSpec
    seed: int
    unfinished: UnfinishedHarvest
    """Has a folder for the blocks of each pass."""
    memory_gib: float
    progress: Progress | None

    def measure(
        self, asked: Mapping[int, Sequence[int]]
    ) -> dict[int, Harvest | ActivationNotFinite]:
        """One pass.

        Args:
            asked: distinct features, by number of the subject.

        Returns:
            By number of the subject what a pass of its own would have found, or why none of its
            features could be measured.

        Raises:
            CorpusError: the corpus cannot be read or is too small.
            OutOfMemory: a single window does not fit the memory.
            DatabaseFull: the disk is full.
        """
        together = [self._names[n].start + item for n, some in asked.items() for item in some]
        most = max(map(len, asked.values()))
        block_tokens = tokens_per_block(most, self.memory_gib / len(asked))
        folder = self.unfinished.of_pass(self._sample.fingerprint, together, block_tokens)
        try:
            whole = harvest(
                self.source,
                self._sample,
                together,
                folder=folder,
                block_tokens=block_tokens,
                progress=self.progress,
            )
        except ActivationNotFinite as error:
            return dict.fromkeys(asked, error)
        ends = accumulate(map(len, asked.values()), initial=0)
        return {
            number: _unless_all_failed(whole.part(some, range(*bounds), self._names[number]))
            for (number, some), bounds in zip(asked.items(), pairwise(ends), strict=True)
        }

    @cached_property
    def _sample(self) -> CorpusSample:
        return sample_corpus(self.subjects[0], self.spec, self.seed)

    @cached_property
    def _names(self) -> list[range]:
        """What `source` calls the features of each subject."""
        ends = accumulate((each.info.n_features for each in self.subjects), initial=0)
        return [range(*bounds) for bounds in pairwise(ends)]


def _unless_all_failed(part: Harvest) -> Harvest | ActivationNotFinite:
    return part if part.features else next(iter(part.failures.values()))
