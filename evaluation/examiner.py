"""One feature from its explanations to their scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.baselines.baseline import Baseline, Desk
from evaluation.candidate import Candidate
from evaluation.exam import Exam
from evaluation.judges.judge import Judge
from evaluation.measuring import MeasuredCorpus
from evaluation.scorers.registry import SCORERS
from evaluation.scores import Score, Scored, unscored
from evaluation.truth import Truth
from evaluation.work import Piece
from graphs.context import dossier_of
from graphs.policies.protocols import Thresholds
from tools.activations import Subject
from tools.errors import Unscorable
from tools.exemplars import ExemplarSource
from tools.llm.costs import Spent
from tools.llm.language_model import LanguageModel

OnPiece = Callable[[int, str], None]
"""Hears which feature and scorer come next; what it raises ends the feature there."""


@dataclass(frozen=True, eq=False)
class Examiner:
    """What scoring needs, for any feature of a run; safe to share between threads."""

    subject: Subject
    source: ExemplarSource
    corpus: MeasuredCorpus
    thresholds: Thresholds
    seed: int
    policy: str
    """Name of the policy that proposed the run's hypotheses."""
    agentic: Mapping[int, Candidate]
    proposing: Mapping[int, Spent]
    hypotheses: Callable[[int], Sequence[Mapping[str, Any]]]
    truths: Mapping[int, Truth]
    baselines: Mapping[str, Baseline]
    judges: Mapping[str, Judge]
    judge_model: str | None
    """Name of the language model that judges; None if none does."""
    model: LanguageModel | None
    """Who makes the explanations of baselines that want a language model."""

    def score(self, feature: int, pieces: Sequence[Piece], on_piece: OnPiece) -> list[Scored]:
        """Scores of one feature's explanations.

        Raises:
            SaesageError: the feature cannot be measured, or a judge cannot be asked at all.
        """
        exam = self._exam(feature)
        made: dict[str, Candidate] = {}
        scored: list[Scored] = []
        for piece in pieces:
            on_piece(feature, f"{piece.explainer}, {piece.scorer}")
            if piece.explainer not in made:
                made[piece.explainer] = self._candidate(feature, piece.explainer, exam)
            candidate = made[piece.explainer]
            scores = scores_of(exam, candidate, self.judges[piece.judge], piece.scorer)
            model = self.judge_model if self.judges[piece.judge].asks else None
            scored.append(Scored(candidate, piece.judge, scores, piece.digest, model))
        return scored

    def _exam(self, feature: int) -> Exam:
        statistics = self.source.statistics(feature)
        table: dict[str, float] = {}
        for row in self.source.token_table(feature):
            table[row.token] = max(row.mean_activation, table.get(row.token, 0.0))
        return Exam(
            feature=feature,
            scale=statistics.scale,
            held_out=self.corpus.feature("evaluate", feature),
            table=table,
            subject=self.subject,
            seed=self.seed,
            truth=self.truths.get(feature),
            hypotheses=self.hypotheses(feature),
        )

    def _candidate(self, feature: int, explainer: str, exam: Exam) -> Candidate:
        if explainer not in self.baselines:
            return self.agentic[feature]
        desk = exam.once("desk", lambda: self._desk(feature))
        return self.baselines[explainer].explain(desk)

    def _desk(self, feature: int) -> Desk:
        statistics = self.source.statistics(feature)
        return Desk(
            feature=feature,
            seed=self.seed,
            dossier=dossier_of(feature, self.source, self.subject, self.thresholds, self.seed),
            proposed=self.corpus.feature("propose", feature),
            scale=statistics.scale,
            agentic=self.agentic,
            hypotheses=self.hypotheses(feature),
            proposing=self.proposing[feature],
            policy=self.policy,
            model=self.model,
        )


def scores_of(exam: Exam, candidate: Candidate, judge: Judge, scorer: str) -> Sequence[Score]:
    """Scores of one explanation by one scorer and judge; null with a reason where there is none."""
    metrics = SCORERS[scorer].metrics
    reason = candidate.missing or judge.unable(candidate)
    if reason:
        return [Score(metric, None, reason, again=candidate.may_come) for metric in metrics]
    try:
        return SCORERS[scorer].score(exam, candidate, judge)
    except Unscorable as error:
        return unscored(metrics, str(error))
