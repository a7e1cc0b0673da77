"""From a corpus and a feature request to stored exemplars, measuring only what is not stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tools.activations import Subject
from tools.corpus import CorpusSpec
from tools.errors import ActivationNotFinite
from tools.harvest.features import FeatureRequest, resolve_features
from tools.harvest.firings import MEMORY_GIB, Progress, tokens_per_block
from tools.harvest.harvest import Harvest, harvest
from tools.harvest.sampling import CorpusSample, sample_corpus, window_length
from tools.harvest.store import ExemplarStore, HarvestIdentity, identify_harvest
from tools.harvest.unfinished import UnfinishedHarvest


@dataclass(frozen=True, slots=True)
class Collection:
    """Features whose exemplars are stored."""

    harvest: str
    """Key of the harvest: `ExemplarStore.source` reads it back."""
    features: tuple[int, ...]
    """The features asked for, random draws made."""
    failures: Mapping[int, ActivationNotFinite]
    """Those of them that could not be measured, and why; their exemplars are not stored."""


def collect_exemplars(
    subject: Subject,
    spec: CorpusSpec,
    request: FeatureRequest,
    seed: int,
    store: ExemplarStore,
    *,
    memory_gib: float = MEMORY_GIB,
    progress: Progress | None = None,
) -> Collection:
    """See that the exemplars of the requested features are stored.

    The corpus is read, and the subject run, only when something is missing; named and random
    features usually share one pass. A pass that is cut short goes on after its last finished
    block when it is asked for again.

    Args:
        subject: the model and SAE.
        spec: the corpus.
        request: the features.
        seed: of the choice of windows and features.
        store: where exemplars are kept.
        memory_gib: what the pass may take beside model, SAE and text.
        progress: called with the tokens done and the tokens in all after each batch.

    Raises:
        ConfigError: fewer features are alive than random ones asked for.
        CorpusError: the corpus cannot be read or is too small.
        ActivationNotFinite: the model gives NaN or an infinity, or every feature does.
        OutOfMemory: a single window does not fit the memory.
        DatabaseFull: the disk is full.
    """
    identity = identify_harvest(subject.info, spec, window_length(subject, spec), seed)
    unfinished = UnfinishedHarvest(store.path, identity.key)
    measure = partial(_harvest, subject, unfinished, memory_gib, progress)
    collector = _Collector(measure, lambda: sample_corpus(subject, spec, seed), store, identity)
    features = resolve_features(request, subject.info.n_features, seed, collector.count_firings)
    collector.store(features)
    unfinished.clear()
    return Collection(identity.key, features, collector.failures)


def _harvest(
    subject: Subject,
    unfinished: UnfinishedHarvest,
    memory_gib: float,
    progress: Progress | None,
    sample: CorpusSample,
    features: Sequence[int],
) -> Harvest:
    """One pass, whose blocks lie in a folder of its own."""
    block_tokens = tokens_per_block(len(features), memory_gib)
    folder = unfinished.of_pass(sample.fingerprint, features, block_tokens)
    return harvest(
        subject, sample, features, folder=folder, block_tokens=block_tokens, progress=progress
    )


class _Collector:
    """Measures each feature at most once and remembers what it measured."""

    def __init__(
        self,
        measure: Callable[[CorpusSample, Sequence[int]], Harvest],
        cut_sample: Callable[[], CorpusSample],
        store: ExemplarStore,
        identity: HarvestIdentity,
    ) -> None:
        self._measure_all = measure
        self._cut_sample = cut_sample
        self._store = store
        self._identity = identity
        self._sample: CorpusSample | None = None
        self._measured: Harvest | None = None
        self.failures: dict[int, ActivationNotFinite] = {}

    def count_firings(self, features: Sequence[int]) -> dict[int, int]:
        """Number of active tokens of each feature, from the store where it knows.

        One that cannot be measured counts as never active, and is not drawn.
        """
        known = self._store.firings(self._identity.key)
        unknown = [feature for feature in features if feature not in known]
        if unknown:
            measured = self._measure(unknown)
            good = [feature for feature in unknown if feature not in self.failures]
            known |= {feature: measured.n_active_tokens(feature) for feature in good}
        return {feature: known.get(feature, 0) for feature in features}

    def store(self, features: Sequence[int]) -> None:
        """Store the exemplars of `features` that are not stored yet."""
        missing = self._store.missing(self._identity.key, features)
        if missing:
            measured = self._measure(missing)
            good = [feature for feature in missing if feature not in self.failures]
            self._store.save(self._identity, measured, good)

    def _measure(self, features: Sequence[int]) -> Harvest:
        """The features measured so far and `features`, in one more pass if need be."""
        measured = self._measured
        done = set(self.failures) | set(measured.features if measured else ())
        new = [item for item in features if item not in done]
        if measured is None or new:
            if self._sample is None:
                self._sample = self._cut_sample()
            found = self._measure_all(self._sample, new)
            self.failures |= found.failures
            measured = found if measured is None else measured.with_firings_of(found)
        self._measured = measured
        return measured
