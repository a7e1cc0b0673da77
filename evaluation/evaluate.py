"""Score a run: every explanation and every baseline, on held-out text, by every judge."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from evaluation.agentic import AGENTIC, agentic_candidates, proposing_spent
from evaluation.baselines.baseline import Baseline
from evaluation.baselines.registry import DEFAULT_BASELINES, baselines_named
from evaluation.candidate import Candidate
from evaluation.examiner import Examiner
from evaluation.judges.judge import JUDGES, Judge
from evaluation.judges.language_model import LanguageModelJudge, prompts_digest
from evaluation.judges.rule import VERSION, RuleJudge
from evaluation.measuring import harvest_of, held_out_sample, measure
from evaluation.scorers.registry import DEFAULTS, NEEDS_TRUTH, scorers_named
from evaluation.scores import ScoreStore
from evaluation.truth import known_digest, may_be_known, truths
from evaluation.work import Basis, Piece, digest_of, unfinished
from graphs.config import JUDGE, TRANSPORT_KEYS
from graphs.feature_workers import FeatureWorkers, OnStep
from graphs.findings import Findings
from graphs.policies.protocols import Thresholds
from graphs.reporter import Reporter
from graphs.runs import Run
from graphs.services import Services
from graphs.subjects import open_subject
from tools.activations import Subject
from tools.database import Database
from tools.errors import ConfigError, SaesageError
from tools.harvest.store import ExemplarStore
from tools.llm.language_model import LanguageModel

NO_BASELINE = "none"
"""In place of baselines: only the run's own explanations are scored."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be scored, as somebody asked for it."""

    metrics: Sequence[str] = ()
    """Names of scorers or metrics; none for the judge's own defaults."""
    baselines: Sequence[str] = ()
    """Names, and paths of files of explanations; none for all that need no file."""
    judges: Sequence[str] = ("rule",)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an evaluation."""

    scored: int
    """Features whose scores are stored, from now or before."""
    unexplained: int
    """Features without an explanation, of which there is nothing to be scored."""
    failures: Mapping[int, SaesageError]
    """Features that could not be scored, and why."""
    was_done: bool
    """Whether every score was there before."""


def evaluate_run(database: Database, run: Run, request: Request, reporter: Reporter) -> Outcome:
    """Score what is not scored yet, several features at a time; commits feature by feature.

    Raises:
        NothingToScore: the run holds no explanation.
        SubjectChanged, CorpusChanged: model, SAE or corpus are not the run's any more.
        ConfigError, ExplanationFileError: the request names what there is not.
        LanguageModelUnusable: the language model that is to judge cannot be asked.
    """
    evaluation = _prepare(database, run, request)
    with closing(Services(database, run, evaluation=True)) as services:
        return evaluation.finish(services, reporter)


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """A request whose names are resolved."""

    database: Database
    run: Run
    agentic: Mapping[int, Candidate]
    """Of every feature of the run."""
    baselines: Mapping[str, Baseline]
    scorers: Mapping[str, Sequence[str]]
    """Judge to the names of its scorers."""

    def finish(self, services: Services, reporter: Reporter) -> Outcome:
        """Do what is left to do."""
        explained = [f for f, candidate in self.agentic.items() if not candidate.missing]
        left = self._left(explained)
        failures: dict[int, SaesageError] = {}
        if left:
            examiner = self._examiner(services, reporter)
            tally = _Tally(len(left), reporter, failures)
            store = ScoreStore(self.database, self.run.name)

            def score(feature: int, on_step: OnStep) -> None:
                store.save(examiner.score(feature, left[feature], on_step))
                # Not before that is stored, or a kill in between would pay for replies twice.
                services.forget_malformed(feature)

            FeatureWorkers(
                score,
                in_flight=self._in_flight(),
                on_step=reporter.step,
                on_done=tally.add,
                release=services.close,
            ).finish(sorted(left))
        return Outcome(
            scored=len(explained) - len(failures),
            unexplained=len(self.agentic) - len(explained),
            failures=failures,
            was_done=not left,
        )

    def _left(self, explained: Sequence[int]) -> dict[int, list[Piece]]:
        key, store = harvest_of(self.database, self.run), ExemplarStore(self.database)
        recipes = {name: self._recipe(each) for name, each in self.baselines.items()}
        basis = Basis(
            subject=store.subject(key),
            sample=store.sample(key),
            seed=self.run.config.seed,
            explainers={AGENTIC: "", **recipes},
            judges={
                "rule": str(VERSION),
                "language_model": digest_of(prompts_digest(), self._settings(JUDGE)),
            },
            scorers=self.scorers,
        )
        pieces = basis.pieces({feature: self._told(feature) for feature in explained})
        return unfinished(pieces, ScoreStore(self.database, self.run.name).known())

    def _recipe(self, baseline: Baseline) -> str:
        """What a baseline's explanations hang on; the model's settings only where one is asked."""
        settings = self._settings("explainer") if baseline.asks(self._policy) else None
        return digest_of(baseline.recipe(self.agentic), settings)

    @property
    def _policy(self) -> str:
        """Name of the policy that proposed the run's hypotheses."""
        return self.run.config.policy_of("generate_hypotheses")

    def _told(self, feature: int) -> str:
        """What a feature's scores hang on: its explanation, its hypotheses and what is known."""
        known = known_digest(self.run.config.subject)
        hypotheses = Findings(self.database).hypotheses(self.run, feature)
        judged = [[h["rule"], h["polarity"], h["status"]] for h in hypotheses]
        return digest_of(self.agentic[feature].digest, judged, known)

    def _settings(self, role: str) -> Any:
        """What a language model's answers in a role hang on."""
        llm = self.run.config.llm
        # Another server may have another model under the same name.
        left_out = {*TRANSPORT_KEYS, "roles"} - {"base_url"}
        return llm and llm.for_role(role).model_dump(mode="json", exclude=left_out)

    def _examiner(self, services: Services, reporter: Reporter) -> Examiner:
        database, run, config = self.database, self.run, self.run.config
        model = self._model(services, reporter)
        reporter.stage("loading model and SAE")
        subject = open_subject(config.subject)
        reporter.stage("measuring the held-out text")
        sample = held_out_sample(database, run, subject)
        findings = Findings(database)
        return Examiner(
            subject=subject,
            source=ExemplarStore(database).source(harvest_of(database, run)),
            # All features, however many are left: fewer columns are computed in another order, and
            # scores would differ in their last digits.
            corpus=measure(subject, sample, list(self.agentic), reporter.harvest),
            thresholds=Thresholds(**config.thresholds.model_dump()),
            seed=config.seed,
            policy=self._policy,
            agentic=self.agentic,
            proposing=proposing_spent(database, run),
            hypotheses=lambda feature: findings.hypotheses(run, feature),
            truths=truths(subject, config.subject),
            baselines=self.baselines,
            judges=self._judges(subject, model),
            judge_model=config.llm and config.llm.for_role(JUDGE).model,
            model=model,
        )

    def _model(self, services: Services, reporter: Reporter) -> LanguageModel | None:
        if not self._asks():
            return None
        try:
            return services.language_model()
        except ConfigError as error:
            if "language_model" in self.scorers:
                raise
            reporter.stage(f"without the baselines that ask a language model: {error}")
            return None

    def _judges(self, subject: Subject, model: LanguageModel | None) -> dict[str, Judge]:
        judges: dict[str, Judge] = {}
        if "rule" in self.scorers:
            judges["rule"] = RuleJudge(subject)
        if "language_model" in self.scorers and model is not None:
            judges["language_model"] = LanguageModelJudge(model)
        return judges

    def _asks(self) -> bool:
        """Whether a language model is needed, for judging or for a baseline's explanations."""
        asking = any(baseline.asks(self._policy) for baseline in self.baselines.values())
        return "language_model" in self.scorers or asking

    def _in_flight(self) -> int:
        llm = self.run.config.llm
        if llm is not None and self._asks():
            return llm.concurrency
        # Forward passes of one feature go on while another's scores are computed.
        return min(4, os.cpu_count() or 1)


def _prepare(database: Database, run: Run, request: Request) -> _Evaluation:
    """Find out what is wrong with a request before anything is loaded."""
    agentic = agentic_candidates(database, run)
    names = request.baselines or DEFAULT_BASELINES
    baselines = baselines_named([n for n in names if n != NO_BASELINE], run.name, agentic.keys())
    judges = list(dict.fromkeys(request.judges))
    for judge in judges:
        if judge not in JUDGES:
            raise ConfigError(f"--judge: unknown judge {judge!r}; known: {', '.join(JUDGES)}.")
    known_truth = may_be_known(run.config.subject)
    return _Evaluation(
        database,
        run,
        agentic,
        baselines,
        {judge: _scorers(request, judge, known_truth=known_truth) for judge in judges},
    )


def _scorers(request: Request, judge: str, *, known_truth: bool) -> list[str]:
    """Those asked for; by default those that make sense for the judge and the subject."""
    if request.metrics:
        return scorers_named(request.metrics)
    return [name for name in DEFAULTS[judge] if known_truth or name not in NEEDS_TRUTH]


@dataclass(eq=False)
class _Tally:
    """Counts the features that are done, and keeps what failed."""

    total: int
    reporter: Reporter
    failures: dict[int, SaesageError]
    _done: set[int] = field(default_factory=set[int])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, feature: int, failure: SaesageError | None) -> None:
        """Take note of what came of a feature."""
        with self._lock:
            self._done.add(feature)
            if failure is None:
                self.failures.pop(feature, None)
            else:
                self.failures[feature] = failure
            self.reporter.features(len(self._done), self.total)
