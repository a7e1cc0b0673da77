"""A score of one explanation, and the table `scores` that keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evaluation.candidate import Candidate
from tools.database import UTC_STAMP, Database, insert
from tools.llm.costs import NOTHING_SPENT, Spent

SCORE_DDL: tuple[str, ...] = (
    "CREATE TABLE IF NOT EXISTS scored_explanations (run VARCHAR, feature INTEGER, "
    "explainer VARCHAR, description VARCHAR, content JSON, missing VARCHAR, calls INTEGER, "
    f"tokens_in BIGINT, tokens_out BIGINT, cost DOUBLE, digest VARCHAR, made_at {UTC_STAMP})",
    "CREATE TABLE IF NOT EXISTS scores (run VARCHAR, feature INTEGER, explainer VARCHAR, "
    "metric VARCHAR, judge VARCHAR, value DOUBLE, reason VARCHAR, low DOUBLE, high DOUBLE, "
    "n INTEGER, floor DOUBLE, always DOUBLE, never DOUBLE, prior DOUBLE, parse_failures DOUBLE, "
    "again BOOLEAN, calls INTEGER, tokens_in BIGINT, tokens_out BIGINT, cost DOUBLE, "
    f"model VARCHAR, details JSON, digest VARCHAR, scored_at {UTC_STAMP})",
)
"""`scored_explanations` has what was scored and what making it took; `scores` one row per run,
feature, explainer, metric and judge. `value` is NULL with a `reason` where a score could not be
had. `low` and `high` bound the 95 % bootstrap interval; `always`, `never` and `prior` are what a
judge would score that says yes to everything, no to everything, or draws answers at the true rate.
`floor` is what a missing score counts as in comparisons if the explanation is why it is missing,
`again` whether the next evaluation tries again, `model` the language model that judged. `digest` is
that of explanation and settings: a row with another one is stale and is scored anew."""


@dataclass(frozen=True, slots=True)
class Trivial:
    """The same metric for judges that read no explanation; None where it is undefined."""

    always: float | None = None
    """For one that says yes to everything."""
    never: float | None = None
    """For one that says no to everything."""
    prior: float | None = None
    """Expected for one that says yes at random, as often as it is true."""


UNDEFINED = Trivial()


@dataclass(frozen=True, slots=True)
class Score:
    """One figure, with all that is needed to believe it."""

    metric: str
    value: float | None
    """None where the score could not be had, never 0 in its place."""
    reason: str = ""
    """Why there is no value."""
    low: float | None = None
    """Lower end of the 95 % bootstrap interval; None where it cannot be had."""
    high: float | None = None
    n: int = 0
    """What the value rests on: texts, or tokens for predictive accuracy."""
    trivial: Trivial = UNDEFINED
    floor: float | None = None
    """What a score without a value counts as where explanations are compared, if the explanation
    itself is why there is none: r of a prediction that is the same everywhere is undefined, and no
    better than 0. None where it is the texts or the judge."""
    parse_failures: float = 0.0
    """Share of the judge's answers, or of the texts it was to write, that could not be used."""
    again: bool = False
    """Whether it wants answers that may come another time: the next evaluation tries again."""
    spent: Spent = NOTHING_SPENT
    """What the judge needed; scores that share answers each count them whole."""
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the value was computed from, as JSON."""


def unscored(metrics: Iterable[str], reason: str) -> list[Score]:
    """Scores that could not be had, all for one reason."""
    return [Score(metric, None, reason) for metric in metrics]


@dataclass(frozen=True, slots=True)
class ScoreKey:
    """What one row of `scores` is about."""

    feature: int
    explainer: str
    metric: str
    judge: str


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Scores of one explanation by one scorer and judge."""

    candidate: Candidate
    judge: str
    scores: Sequence[Score]
    digest: str
    """Of all that decided them."""
    model: str | None = None
    """The language model that judged; None for a judge that is none."""


class ScoreStore:
    """The score tables of one run in a database that was initialised with SCORE_DDL."""

    def __init__(self, database: Database, run: str) -> None:
        self._database = database
        self._run = run

    def known(self) -> dict[ScoreKey, str]:
        """The digest that each stored score was computed for.

        Those are left out that want an answer of the judge: it may answer the next time.
        """
        rows = self._database.rows(
            "SELECT feature, explainer, metric, judge, digest FROM scores "
            "WHERE run = ? AND NOT again",
            [self._run],
        )
        return {ScoreKey(*key): digest for *key, digest in rows}

    def save(self, batch: Sequence[Scored]) -> None:
        """Store scores in place of older ones, all in one transaction.

        Scores of another explanation by the same explainer are forgotten, whatever their metric:
        beside those of the new one they would be compared as if they belonged to it.
        """
        with self._database.transaction() as connection:
            for each in batch:
                about = (self._run, each.candidate.feature, each.candidate.explainer)
                metrics = [score.metric for score in each.scores]
                connection.execute(
                    "DELETE FROM scores WHERE run = ? AND feature = ? AND explainer = ? "
                    "AND (judge = ? AND list_contains(?, metric) OR (run, feature, explainer) "
                    "IN (SELECT (run, feature, explainer) FROM scored_explanations "
                    "WHERE digest != ?))",
                    [*about, each.judge, metrics, each.candidate.digest],
                )
                connection.execute(
                    "DELETE FROM scored_explanations "
                    "WHERE run = ? AND feature = ? AND explainer = ?",
                    about,
                )
            rows = [self._score_row(each, score) for each in batch for score in each.scores]
            insert(connection, "scores", rows, _SCORE_COLUMNS)
            candidates = {each.candidate.explainer: each.candidate for each in batch}
            told = [self._candidate_row(candidate) for candidate in candidates.values()]
            insert(connection, "scored_explanations", told, _CANDIDATE_COLUMNS)

    def records(self) -> list[dict[str, Any]]:
        """Every score with what making its explanation took, without the details."""
        return self._database.records(
            "SELECT s.* EXCLUDE (details), s.details->>'family' AS family, e.description, "
            "e.content, e.calls AS made_calls, e.tokens_in AS made_tokens_in, "
            "e.tokens_out AS made_tokens_out, e.cost AS made_cost "
            "FROM scores s JOIN scored_explanations e USING (run, feature, explainer) "
            "WHERE s.run = ? ORDER BY s.metric, s.judge, s.explainer, s.feature",
            [self._run],
        )

    def _score_row(self, each: Scored, score: Score) -> tuple[Any, ...]:
        feature, explainer = each.candidate.feature, each.candidate.explainer
        about = (self._run, feature, explainer, score.metric, each.judge)
        value = (score.value, score.reason, score.low, score.high, score.n, score.floor)
        trivial = (score.trivial.always, score.trivial.never, score.trivial.prior)
        details = json.dumps(dict(score.details), ensure_ascii=False)
        answers = (score.parse_failures, score.again, *_spent(score.spent), each.model)
        return (*about, *value, *trivial, *answers, details, each.digest)

    def _candidate_row(self, candidate: Candidate) -> tuple[Any, ...]:
        content = json.dumps(dict(candidate.content), ensure_ascii=False)
        about = (self._run, candidate.feature, candidate.explainer, candidate.description, content)
        return (*about, candidate.missing, *_spent(candidate.spent), candidate.digest)


def _spent(spent: Spent) -> tuple[Any, ...]:
    return (spent.calls, spent.tokens_in, spent.tokens_out, spent.cost)


_SPENT = ("calls", "tokens_in", "tokens_out", "cost")
_SCORE_COLUMNS = (
    *("run", "feature", "explainer", "metric", "judge", "value", "reason", "low", "high", "n"),
    *("floor", "always", "never", "prior", "parse_failures", "again", *_SPENT, "model"),
    *("details", "digest"),
)
_CANDIDATE_COLUMNS = (
    *("run", "feature", "explainer", "description", "content", "missing", *_SPENT, "digest"),
)
