"""A run from its configuration to its last feature; goes on wherever an earlier try stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from langchain_core.runnables import RunnableConfig

from graphs.checkpointer import DuckDBSaver, strict_serializer
from graphs.config import CorpusConfig, DatasetConfig, SubjectConfig
from graphs.context import ExplainContext, Limits
from graphs.explain import ExplainGraph, build_graph
from graphs.policies.protocols import Thresholds
from graphs.policies.registry import load_policies
from graphs.projection import DomainProjection, thread_of
from graphs.records import RECORD_TYPES
from graphs.runs import Run, RunStore
from graphs.state import initial_state
from tools.activations import Subject
from tools.corpus import STDLIB_SOURCE, CorpusSpec, DatasetSource
from tools.corpus_files import corpus_files
from tools.database import Database
from tools.errors import DatabaseError, SaesageError, SubjectChanged, SubjectError
from tools.harvest.collection import collect_exemplars
from tools.harvest.features import parse_features
from tools.harvest.store import ExemplarStore
from tools.subject import SaeSource, SubjectSpec, load_subject

STEPS_PER_ROUND = 5
"""Nodes from design_experiments to the next decision, for LangGraph's own limit."""


class Reporter(Protocol):
    """Hears of what a run does."""

    def stage(self, message: str) -> None:
        """Something long begins that has no steps to count."""
        ...

    def harvest(self, done: int, total: int) -> None:
        """Tokens of the corpus that are measured."""
        ...

    def features(self, done: int, total: int) -> None:
        """Features that have a final status."""
        ...

    def step(self, feature: int, node: str) -> None:
        """A node of the graph begins."""
        ...


def finish_run(database: Database, run: Run, reporter: Reporter) -> None:
    """Explain every feature of `run` that has no final status yet.

    A feature that cannot be explained is recorded as failed, and the next one begins.

    Raises:
        SaesageError: the subject, corpus, policies or database cannot be used at all.
    """
    runs = RunStore(database)
    if runs.is_finished(run):
        return
    try:
        explainer = _prepare(database, run, reporter)
    except SaesageError:
        runs.discard_unplanned(run)
        raise
    planned, unfinished = runs.planned(run), runs.unfinished(run)
    for done, feature in enumerate(unfinished, len(planned) - len(unfinished)):
        reporter.features(done, len(planned))
        try:
            if feature in explainer.unmeasured:
                raise explainer.unmeasured[feature]
            explainer.explain(feature, reporter)
        except DatabaseError:
            raise
        except SaesageError as error:
            runs.record_failure(run, feature, error)
    reporter.features(len(planned), len(planned))


@dataclass(frozen=True, slots=True)
class Explainer:
    """The compiled graph with what its nodes need, ready for one feature after another."""

    run: Run
    graph: ExplainGraph
    context: ExplainContext
    unmeasured: Mapping[int, SaesageError]
    """Features without exemplars, and why."""

    def explain(self, feature: int, reporter: Reporter) -> None:
        """Run or resume the feature's thread to its end."""
        limits = self.context.limits
        config: RunnableConfig = {
            "configurable": {"thread_id": thread_of(self.run.name, feature)},
            "recursion_limit": STEPS_PER_ROUND * (limits.rounds + limits.reviews) + 10,
        }
        begun = self.graph.get_state(config).created_at is not None
        state = None if begun else initial_state(self.run.name, feature)
        # "sync" stores a step before the next one begins: what a person saw is never lost.
        for task in self.graph.stream(
            state, config, context=self.context, stream_mode="tasks", durability="sync"
        ):
            if "input" in task:
                reporter.step(feature, task["name"])


def _prepare(database: Database, run: Run, reporter: Reporter) -> Explainer:
    config = run.config
    policies = load_policies(config)
    _check_corpus(run.config.corpus)
    reporter.stage("loading model and SAE")
    subject = load_subject(subject_spec(config.subject))
    harvest, unmeasured = _plan(database, run, subject, reporter)
    serde = strict_serializer(RECORD_TYPES)
    saver = DuckDBSaver(database, serde=serde, projection=DomainProjection())
    context = ExplainContext(
        subject=subject,
        source=ExemplarStore(database).source(harvest),
        policies=policies,
        limits=Limits(**config.budget.model_dump()),
        thresholds=Thresholds(**config.thresholds.model_dump()),
        seed=config.seed,
    )
    return Explainer(run, build_graph(saver), context, unmeasured)


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
        progress=reporter.harvest,
    )
    runs.plan(run, collection.features, collection.harvest)
    return Plan(collection.harvest, collection.failures)


def _check_corpus(config: CorpusConfig) -> None:
    """Find out that there is no such corpus before the model is loaded, not after."""
    if isinstance(config.source, str) and config.source != STDLIB_SOURCE:
        corpus_files(config.source)


def subject_spec(config: SubjectConfig) -> SubjectSpec:
    """The configuration's words in those of `tools.subject`."""
    sae = SaeSource(**config.sae.model_dump())
    return SubjectSpec(model=config.model, sae=sae, device=config.device, dtype=config.dtype)


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
