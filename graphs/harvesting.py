"""Harvests of several configurations; those that can, share their passes over the corpus."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from graphs.config import RunConfig
from graphs.reporter import Reporter
from graphs.run import check_corpus, corpus_spec
from graphs.subjects import open_subject
from tools.activations import Subject
from tools.database import Database
from tools.errors import DatabaseError, SaesageError
from tools.harvest.collection import Collection, Wanted, collect_together
from tools.harvest.features import parse_features
from tools.harvest.sampling import window_length
from tools.harvest.store import ExemplarStore
from tools.shared_model import SharedModel, shared_pass
from tools.subject import LoadedSubject

T = TypeVar("T")

Outcome = Collection | SaesageError
"""Where the exemplars of a configuration are, or why there are none."""


class ToHarvest(NamedTuple):
    """A configuration, and the database that its harvest goes to."""

    config: RunConfig
    database: Database


class _Ready(NamedTuple):
    """One whose model and SAE are in memory."""

    number: int
    config: RunConfig
    wanted: Wanted


def harvest_all(harvests: Sequence[ToHarvest], reporter: Reporter) -> list[Outcome]:
    """See that the exemplars of every configuration are stored; explain nothing.

    Those of one language model, corpus and seed share their passes, as far as their SAEs cut the
    corpus into the same windows. What is stored is what each would store alone.

    Returns:
        What came of each, in their order: what stops one does not keep the others from it.

    Raises:
        DatabaseError: a database cannot be used.
    """
    outcomes: dict[int, Outcome] = {}
    for alike in _grouped((_text_and_model(each.config), n) for n, each in enumerate(harvests)):
        outcomes |= _harvest_alike({number: harvests[number] for number in alike}, reporter)
    return [outcomes[number] for number in range(len(harvests))]


def _harvest_alike(harvests: dict[int, ToHarvest], reporter: Reporter) -> dict[int, Outcome]:
    """Those that might share a pass, for all that can be told without their SAEs."""
    outcomes: dict[int, Outcome] = {}
    ready: list[_Ready] = []
    for number, each in harvests.items():
        reporter.stage("loading model and SAE")
        try:
            wanted = _load(each, [other.wanted.subject for other in ready])
            ready.append(_Ready(number, each.config, wanted))
        except DatabaseError:
            raise
        except SaesageError as error:
            outcomes[number] = error
    for together in _grouped((_windows(each), each) for each in ready):
        many = f", for {len(together)} SAEs at once" if len(together) > 1 else ""
        reporter.stage(f"measuring the corpus{many}")
        found = _collect(together, reporter)
        outcomes |= {each.number: came for each, came in zip(together, found, strict=True)}
    return outcomes


def _load(harvest: ToHarvest, beside: Sequence[Subject]) -> Wanted:
    """Model and SAE, and what is wanted of them: all that can be wrong is found out here."""
    config, database = harvest
    check_corpus(config.corpus)
    subject = open_subject(config.subject, beside)
    window_length(subject, corpus_spec(config.corpus))
    request = parse_features(config.features, subject.info.n_features)
    return Wanted(subject, request, ExemplarStore(database))


def _collect(together: Sequence[_Ready], reporter: Reporter) -> Sequence[Outcome]:
    wanted = [each.wanted for each in together]
    subjects = [each.subject for each in wanted if isinstance(each.subject, LoadedSubject)]
    first = together[0].config
    try:
        return collect_together(
            SharedModel(subjects) if len(together) > 1 else wanted[0].subject,
            wanted,
            corpus_spec(first.corpus),
            first.seed,
            memory_gib=min(each.config.corpus.memory_gib for each in together),
            progress=reporter.harvest,
        )
    except DatabaseError:
        raise
    except SaesageError as error:
        return [error] * len(together)


def _text_and_model(config: RunConfig) -> Hashable:
    subject = config.subject
    corpus = config.corpus.model_dump_json(exclude={"memory_gib"})
    return (subject.factory, subject.model, subject.device, subject.dtype, corpus, config.seed)


def _windows(ready: _Ready) -> Hashable:
    """Equal for those whose subjects can see the same forward pass over the same windows."""
    subject = ready.wanted.subject
    passes = shared_pass(subject) if isinstance(subject, LoadedSubject) else ready.number
    return (passes, window_length(subject, corpus_spec(ready.config.corpus)))


def _grouped(items: Iterable[tuple[Hashable, T]]) -> list[list[T]]:
    """What has the same key, in the order of the first of each."""
    groups: dict[Hashable, list[T]] = {}
    for key, item in items:
        groups.setdefault(key, []).append(item)
    return list(groups.values())
