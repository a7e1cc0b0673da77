"""From a corpus and a feature request to stored exemplars, measuring only what is not stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tools.activations import FiringSource, Subject
from tools.corpus import CorpusSpec
from tools.errors import ActivationNotFinite, DatabaseError, SaesageError
from tools.harvest.features import FeatureRequest, resolve_features
from tools.harvest.firings import MEMORY_GIB, Progress
from tools.harvest.harvest import Harvest
from tools.harvest.sampling import window_length
from tools.harvest.shared_passes import SharedPasses
from tools.harvest.store import ExemplarStore, identify_harvest, joint_key
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
    wanted = [Wanted(subject, request, store)]
    (found,) = collect_together(
        subject, wanted, spec, seed, memory_gib=memory_gib, progress=progress
    )
    if isinstance(found, SaesageError):
        raise found
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What is to be harvested of one subject, and where that is kept."""

    subject: Subject
    request: FeatureRequest
    store: ExemplarStore


def collect_together(
    source: Subject | FiringSource,
    wanted: Sequence[Wanted],
    spec: CorpusSpec,
    seed: int,
    *,
    memory_gib: float = MEMORY_GIB,
    progress: Progress | None = None,
) -> list[Collection | SaesageError]:
    """`collect_exemplars` for several subjects that share their passes over the corpus.

    Args:
        source: measures all of them at once; their features are counted through, those of a
            subject following on those of the one before it.
        wanted: of subjects that cut the corpus into the same windows.
        spec: see `collect_exemplars`, and so for what else is given.
        seed: see there.
        memory_gib: for all together.
        progress: see there.

    Returns:
        For each of `wanted` what came of it, or why its features could not be had.

    Raises:
        CorpusError: the corpus cannot be read or is too small.
        OutOfMemory: a single window does not fit the memory.
        DatabaseError: a database cannot be written.
    """
    collectors = [_Collector(each, spec, seed) for each in wanted]
    unfinished = UnfinishedHarvest(
        wanted[0].store.path, joint_key([each.identity for each in collectors])
    )
    subjects = [each.subject for each in wanted]
    passes = SharedPasses(source, subjects, spec, seed, unfinished, memory_gib, progress)
    while asked := {n: new for n, each in enumerate(collectors) if (new := each.go_on())}:
        for number, found in passes.measure(asked).items():
            collectors[number].take(asked[number], found)
    outcomes = [each.outcome for each in collectors if each.outcome is not None]
    if not any(isinstance(outcome, SaesageError) for outcome in outcomes):
        unfinished.clear()
    return outcomes


class _Unmeasured(Exception):
    """Says which features are to be measured before a collection can go on: no error."""

    def __init__(self, features: Sequence[int]) -> None:
        super().__init__()
        self.features = features


class _Collector:
    """One collection, as far as it has come; it measures each feature at most once."""

    def __init__(self, wanted: Wanted, spec: CorpusSpec, seed: int) -> None:
        subject = wanted.subject
        self._wanted, self._seed = wanted, seed
        self.identity = identify_harvest(subject.info, spec, window_length(subject, spec), seed)
        self.outcome: Collection | SaesageError | None = None
        self._measured: Harvest | None = None
        self._failures: dict[int, ActivationNotFinite] = {}

    def go_on(self) -> Sequence[int]:
        """Go on as far as can be: returns the features to measure next; none at the end."""
        if self.outcome is not None:
            return ()
        try:
            self.outcome = self._collect()
        except _Unmeasured as unmeasured:
            return unmeasured.features
        except DatabaseError:
            raise
        except SaesageError as error:
            self.outcome = error
        return ()

    def take(self, asked: Sequence[int], found: Harvest | ActivationNotFinite) -> None:
        """Take what a pass measured of the features that `go_on` returned."""
        if isinstance(found, Harvest):
            self._failures |= found.failures
            measured = self._measured
            self._measured = found if measured is None else measured.with_firings_of(found)
        elif found.feature is not None and self._any_measured:
            self._failures |= dict.fromkeys(asked, found)
        else:
            self.outcome = found

    @property
    def _any_measured(self) -> bool:
        """Whether there is a feature that can be measured, this time or an earlier one."""
        measured, store = self._measured, self._wanted.store
        return measured is not None or bool(store.firings(self.identity.key))

    def _collect(self) -> Collection:
        """The features chosen, and stored.

        Raises:
            _Unmeasured: some must be measured first; what is measured already is then not lost.
        """
        n_features = self._wanted.subject.info.n_features
        request = self._wanted.request
        features = resolve_features(request, n_features, self._seed, self._count_firings)
        self._store(features)
        return Collection(self.identity.key, features, self._failures)

    def _count_firings(self, features: Sequence[int]) -> dict[int, int]:
        """Number of active tokens of each feature, from the store where it knows.

        One that cannot be measured counts as never active, and is not drawn.
        """
        known = self._wanted.store.firings(self.identity.key)
        unknown = [item for item in features if item not in known and item not in self._failures]
        if unknown:
            measured = self._measure(unknown)
            known |= {feature: measured.n_active_tokens(feature) for feature in unknown}
        return {feature: known.get(feature, 0) for feature in features}

    def _store(self, features: Sequence[int]) -> None:
        """Store the exemplars of `features` that are not stored yet."""
        missing = self._wanted.store.missing(self.identity.key, features)
        missing = [feature for feature in missing if feature not in self._failures]
        if missing:
            self._wanted.store.save(self.identity, self._measure(missing), missing)

    def _measure(self, features: Sequence[int]) -> Harvest:
        """What is measured, if that includes `features`."""
        measured = self._measured
        done = set(measured.features if measured else ())
        new = [feature for feature in features if feature not in done]
        if measured is None or new:
            raise _Unmeasured(new)
        return measured
