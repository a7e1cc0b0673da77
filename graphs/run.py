"""A run from its configuration to its last feature; goes on wherever an earlier try stopped."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from graphs.checkpointer import DuckDBSaver, strict_serializer
from graphs.config import CorpusConfig, DatasetConfig
from graphs.context import ExplainContext, limits_of
from graphs.explain import build_graph
from graphs.explainer import Explainer
from graphs.feature_workers import FeatureWorkers
from graphs.instruments import Instruments
from graphs.policies.protocols import Thresholds
from graphs.policies.registry import load_policies
from graphs.projection import DomainProjection
from graphs.records import RECORD_TYPES
from graphs.reporter import Reporter
from graphs.runs import Run, RunStore
from graphs.services import Services
from graphs.stopping import Stop
from tools.activations import Subject
from tools.corpus import STDLIB_SOURCE, CorpusSpec, DatasetSource
from tools.corpus_files import corpus_files
from tools.database import Database
from tools.errors import MalformedReply, SaesageError, SubjectChanged, SubjectError
from tools.harvest.collection import collect_exemplars
from tools.harvest.features import parse_features
from tools.harvest.recent import RecentExemplars
from tools.harvest.store import ExemplarStore
from tools.logit_effects import keep_logit_effects

OFFLINE_CONCURRENCY = 4
"""Features at a time where none waits for a server: more share one processor without gain."""


def finish_run(
    database: Database,
    run: Run,
    reporter: Reporter,
    *,
    stop: Stop | None = None,
    instruments: Instruments | None = None,
    only: int | None = None,
) -> None:
    """Explain every feature of `run` that has no final status yet.

    Several are explained side by side. One that cannot be explained is recorded as failed, and the
    others go on.

    Args:
        database: Has the run.
        run: As it was opened.
        reporter: Hears how far it is.
        stop: Asked to stop, the run returns once every step under way is finished and stored.
        instruments: Those of the database, if somebody else measures beside the run.
        only: The one feature to go on with, while others may be in other hands.

    Raises:
        SaesageError: the subject, corpus, policies, language model or database cannot be used at
            all.
    """
    runs = RunStore(database)
    stop = stop or Stop()
    if runs.is_finished(run):
        return
    with ExitStack() as lent:
        if instruments is None:
            instruments = lent.enter_context(closing(Instruments(database)))
        services = lent.enter_context(closing(Services(database, run)))
        try:
            explainer = prepare(database, run, services, instruments, reporter)
        except SaesageError:
            runs.discard_unplanned(run)
            raise
        tally = _Tally(runs, run, reporter, services)
        workers = FeatureWorkers(
            explainer.explain,
            in_flight=_in_flight(run, services),
            on_step=reporter.step,
            on_done=tally.add,
            release=services.close,
            stop=stop,
        )
        # Features share the processors already; and no sum should depend on how many there are.
        with threadpool_limits(1, user_api="blas"), stop.steps():
            workers.finish([each for each in runs.unfinished(run) if only in (None, each)])


def _in_flight(run: Run, services: Services) -> int:
    """As configured; else as many as a server answers, or as share the passes without one."""
    if run.config.concurrency is not None:
        return run.config.concurrency
    llm = run.config.llm
    if llm is not None and services.asks_language_model:
        return llm.concurrency
    return OFFLINE_CONCURRENCY


class _Tally:
    """Counts the features that a run is done with, and records failures."""

    def __init__(self, runs: RunStore, run: Run, reporter: Reporter, services: Services) -> None:
        self._runs, self._run, self._reporter, self._services = runs, run, reporter, services
        self._planned = runs.planned(run)
        self._open = set(runs.unfinished(run))
        self._lock = threading.Lock()
        self._report()

    def add(self, feature: int, failure: SaesageError | None) -> None:
        """Take note of what came of a feature."""
        if failure is not None:
            self._runs.record_failure(self._run, feature, failure)
        if isinstance(failure, MalformedReply):
            # Not before the failure is stored, or a kill in between would pay for replies twice.
            self._services.forget_malformed(feature)
        with self._lock:
            self._open.discard(feature)
            self._report()

    def _report(self) -> None:
        self._reporter.features(len(self._planned) - len(self._open), len(self._planned))


def prepare(
    database: Database,
    run: Run,
    services: Services,
    instruments: Instruments,
    reporter: Reporter,
) -> Explainer:
    """What explains the run's features; plans the run and measures the corpus if need be.

    Raises:
        SaesageError: as `finish_run`.
    """
    config = run.config
    policies = load_policies(config, services)
    check_corpus(run.config.corpus)
    reporter.stage("loading model and SAE")
    subject, scheduler, _ = instruments.of(config.subject)
    harvest, unmeasured = _plan(database, run, subject, reporter)
    keep_logit_effects(database, subject, RunStore(database).planned(run))
    serde = strict_serializer(RECORD_TYPES)
    saver = DuckDBSaver(database, serde=serde, projection=DomainProjection())
    source = ExemplarStore(database).source(harvest)
    context = ExplainContext(
        subject=scheduler,
        source=RecentExemplars(source, features=_in_flight(run, services)),
        policies=policies,
        limits=limits_of(config),
        thresholds=Thresholds(**config.thresholds.model_dump()),
        seed=config.seed,
        review=frozenset(config.review),
    )
    return Explainer(run, build_graph(saver), context, saver, unmeasured, instruments.claims)


class Plan(NamedTuple):
    """Where a run's exemplars are, and which features have none."""

    harvest: str
    unmeasured: Mapping[int, SaesageError]


def _plan(database: Database, run: Run, subject: Subject, reporter: Reporter) -> Plan:
    """See that the run's features are chosen and their exemplars stored.

    Raises:
        SubjectChanged: the run was begun with other weights or settings.
    """
    runs, config, store = RunStore(database), run.config, ExemplarStore(database)
    planned = runs.harvest(run)
    if planned is not None:
        if store.subject(planned) != subject.info.fingerprint:
            raise SubjectChanged(
                f"the model or SAE changed since run {run.name} began, so its measurements would "
                "not fit together; bring the old files back, or start anew with explain --new."
            )
        missing = store.missing(planned, runs.planned(run))
        reason = "its exemplars could not be measured; start anew with explain --new."
        return Plan(planned, {feature: SubjectError(reason) for feature in missing})
    request = parse_features(config.features, subject.info.n_features)
    reporter.stage("measuring the corpus")
    collection = collect_exemplars(
        subject,
        corpus_spec(config.corpus),
        request,
        config.seed,
        store,
        memory_gib=config.corpus.memory_gib,
        progress=reporter.harvest,
    )
    runs.plan(run, collection.features, collection.harvest)
    return Plan(collection.harvest, collection.failures)


def check_corpus(config: CorpusConfig) -> None:
    """Find out that there is no such corpus before the model is loaded, not after."""
    if isinstance(config.source, str) and config.source != STDLIB_SOURCE:
        corpus_files(config.source)


def corpus_spec(config: CorpusConfig) -> CorpusSpec:
    """The configuration's words in those of `tools.corpus`."""
    source = config.source
    if isinstance(source, DatasetConfig):
        source = DatasetSource(**source.model_dump())
    return CorpusSpec(
        source,
        max_tokens=config.max_tokens,
        context_size=config.context_size,
        column=config.column,
    )
