"""From a corpus and a feature request to stored exemplars, measuring only what is not stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tools.activations import Subject
from tools.corpus import CorpusSpec
from tools.errors import ActivationNotFinite
from tools.harvest.features import FeatureRequest, resolve_features
from tools.harvest.firings import Progress
from tools.harvest.harvest import Harvest, harvest
from tools.harvest.sampling import CorpusSample, sample_corpus, window_length
from tools.harvest.store import ExemplarStore, HarvestIdentity, identify_harvest


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
    progress: Progress | None = None,
) -> Collection:
    """See that the exemplars of the requested features are stored.

    The corpus is read, and the subject run, only when something is missing; named and random
    features usually share one pass.

    Raises:
        ConfigError: fewer features are alive than random ones asked for.
        CorpusError: the corpus cannot be read or is too small.
        ActivationNotFinite: the model gives NaN or an infinity, or every feature does.
    """
    identity = identify_harvest(subject.info, spec, window_length(subject, spec), seed)
    collector = _Collector(subject, spec, seed, store, identity, progress)
    features = resolve_features(request, subject.info.n_features, seed, collector.count_firings)
    collector.store(features)
    return Collection(identity.key, features, collector.failures)


class _Collector:
    """Measures each feature at most once and remembers what it measured."""

    def __init__(
        self,
        subject: Subject,
        spec: CorpusSpec,
        seed: int,
        store: ExemplarStore,
        identity: HarvestIdentity,
        progress: Progress | None,
    ) -> None:
        self._subject = subject
        self._spec = spec
        self._seed = seed
        self._store = store
        self._identity = identity
        self._progress = progress
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
                self._sample = sample_corpus(self._subject, self._spec, self._seed)
            found = self._harvest(self._sample, new)
            measured = found if measured is None else measured.with_firings_of(found)
        self._measured = measured
        return measured

    def _harvest(self, sample: CorpusSample, features: Sequence[int]) -> Harvest:
        """One pass over the features that can be measured; the others are kept as failures."""
        while True:
            good = [feature for feature in features if feature not in self.failures]
            try:
                return harvest(self._subject, sample, good, progress=self._progress)
            except ActivationNotFinite as error:
                if error.feature is None or good == [error.feature]:
                    raise
                self.failures[error.feature] = error
