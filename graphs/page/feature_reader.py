"""All that is known of the threads of one run; what they share is read once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from graphs.page.calls import calls_of
from graphs.page.exemplars import exemplar_groups, histogram
from graphs.page.investigation import evidence_of, hypotheses_of, rounds_of
from graphs.page.overview import ThreadSummary
from graphs.page.records import ClaimLine, ExemplarGroup, FeaturePage, ForkOrigin, Histogram
from graphs.page.scores import headlines, is_evaluated, scores, scores_of_runs, written_texts
from graphs.page.summaries import (
    NO_SPENDING,
    NOTHING,
    Row,
    failure_of,
    failures,
    newest,
    spending_of,
    summaries,
    summary,
)
from graphs.page.threads import Thread, threads_of
from graphs.runs import Run, RunStore
from graphs.services import evaluation_name
from graphs.steering.wording import in_words
from tools.activations import LogitEffects
from tools.database import Database
from tools.harvest.store import ExemplarStore
from tools.logit_effects import stored_logit_effects

SYMBOLIC = "symbolic"
"""The policy that words its reading of the evidence by rote."""


class FeatureReader:
    """Reads pages of one run."""

    def __init__(self, database: Database, run: Run, threads: Sequence[str]) -> None:
        """Read what the pages have in common.

        Args:
            database: open.
            run: one that is planned, or a fork.
            threads: ids of its threads whose pages are wanted.
        """
        self._database = database
        self._run = run
        self._progress = _one_each(newest(database, "feature_log", threads))
        self._explained = _one_each(newest(database, "explanations_log", threads))
        self._evidence = evidence_of(database, threads)
        self._harvested = _Harvested(database, RunStore(database).harvest(run))
        self._failures = failures(database, [run.name])
        self._spending = spending_of(database, [run.name])
        self._judging = spending_of(database, [evaluation_name(run.name)])
        self._evaluated = is_evaluated(database)
        self._threads = threads_of(database, RunStore(database).named(run.root))

    def page(self, thread: Thread) -> FeaturePage:
        """All that is shown of one of the threads."""
        database, run, feature = self._database, self._run, thread.feature
        progress, explained = self._progress.get(thread.id), self._explained.get(thread.id)
        failure = failure_of(thread, progress, self._failures)
        # The symbolic policy's reading of the evidence is a list of the tests, which are all shown.
        interpreted = run.config.policy_of("analyze_evidence") != SYMBOLIC
        hypotheses = hypotheses_of(self._evidence[thread.id], interpreted=interpreted)
        refuted = sum(node.status == "refuted" for node in hypotheses)
        counts = (sum(len(node.tests) for node in hypotheses), refuted)
        spent = self._spending.get((run.name, feature), NO_SPENDING)
        judging = self._judging.get((evaluation_name(run.name), feature), NO_SPENDING)
        cells = scores(database, run.name, feature) if self._evaluated else []
        known, said = progress or NOTHING, explained or NOTHING
        return FeaturePage(
            summary=summary(thread, progress, explained, failure, counts, spent, headlines(cells)),
            origin=self._origin(),
            siblings=self._siblings(feature),
            failure=failure,
            stopped=known.get("stopped") or "",
            labels=tuple(said.get("labels", ())),
            not_on=tuple(said.get("not_on", ())),
            confidence_basis=said.get("confidence_basis", ""),
            claims=_claims(said.get("claims")),
            rule=said.get("rule"),
            scale=known.get("scale"),
            n_tokens=known.get("n_tokens"),
            n_active_tokens=known.get("n_active_tokens"),
            active_from=run.config.thresholds.active,
            inactive_to=run.config.thresholds.inactive,
            histogram=self._harvested.histogram(feature),
            logits=self._harvested.logits(feature),
            exemplars=self._harvested.exemplars(feature),
            hypotheses=hypotheses,
            rounds=rounds_of(hypotheses),
            scores=tuple(cells),
            written=written_texts(database, run.name, feature) if cells else (),
            calls=calls_of(database, run.name, feature) if self._spending else (),
            judge_calls=judging.calls,
            database=database.path,
        )

    def _siblings(self, feature: int) -> tuple[ThreadSummary, ...]:
        threads = [each for each in self._threads if each.feature == feature]
        if len(threads) == 1:
            return ()
        _, cells = scores_of_runs(self._database, {each.run for each in threads})
        return tuple(summaries(self._database, threads, cells))

    def _origin(self) -> ForkOrigin | None:
        forked = self._run.forked_from
        if forked is None:
            return None
        changed = (*in_words(forked.edits), *forked.settings)
        return ForkOrigin(forked.thread, forked.checkpoint, changed)


class _Harvested:
    """What the corpus pass left of features; nothing before it was made."""

    def __init__(self, database: Database, key: str | None) -> None:
        self._database, self._key = database, key
        store = ExemplarStore(database)
        self._subject = None if key is None else store.subject(key)
        self._source = None if key is None else store.source(key)

    def histogram(self, feature: int) -> Histogram | None:
        return None if self._key is None else histogram(self._database, self._key, feature)

    def logits(self, feature: int) -> LogitEffects | None:
        if self._subject is None:
            return None
        return stored_logit_effects(self._database, self._subject, feature)

    def exemplars(self, feature: int) -> tuple[ExemplarGroup, ...]:
        return () if self._source is None else exemplar_groups(self._source, feature)


def _one_each(rows: Iterable[Row]) -> dict[str, Row]:
    return {row["thread_id"]: row for row in rows}


def _claims(text: str | None) -> tuple[ClaimLine, ...]:
    claims: list[dict[str, Any]] = [] if text is None else json.loads(text)
    return tuple(
        ClaimLine(claim["text"], claim["shows"], tuple(claim["observations"])) for claim in claims
    )
