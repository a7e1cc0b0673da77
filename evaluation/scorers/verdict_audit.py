"""Whether wrong hypotheses were refuted, and right ones were not, where the truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.agentic import AGENTIC
from evaluation.candidate import Candidate
from evaluation.exam import Exam
from evaluation.judges.judge import Answers, Judge
from evaluation.scorers.figures import Figures
from evaluation.scorers.recovered import ACTIVE, true_shares
from evaluation.scores import UNDEFINED, Score
from evaluation.statistics import mean_of
from tools.errors import Unscorable
from tools.rules import Rule, rule_from_json

SAYS = 0.5
"""A hypothesis speaks of the tokens that get at least this share of its strongest branch."""

RIGHT = 0.95
"""Share of these on which what it says must hold, for it to be right; at least."""

WRONG = 0.5
"""Below this share it is wrong; between the two it is neither."""

WRONG_REFUTED, WRONG_CONFIRMED, RIGHT_REFUTED = "wrong_refuted", "wrong_confirmed", "right_refuted"


@dataclass(frozen=True, slots=True)
class VerdictAudit:
    """Verdicts held against the truth, for the run's hypotheses that carry a rule.

    `wrong_refuted` and `wrong_confirmed` are the shares of wrong hypotheses that were refuted and
    confirmed; `right_refuted` is the share of right ones. A hypothesis that was replaced by a
    refinement of itself is neither; the details count what became of each. No judge is asked.
    """

    metrics: tuple[str, ...] = (WRONG_REFUTED, WRONG_CONFIRMED, RIGHT_REFUTED)
    version: int = 2

    def score(self, exam: Exam, candidate: Candidate, judge: Judge) -> Sequence[Score]:
        """See `Scorer`; only the investigation itself has hypotheses."""
        if candidate.explainer != AGENTIC:
            raise Unscorable("only the investigation itself tests hypotheses")
        true = exam.once("truth", lambda: true_shares(exam))
        audited = [_audited(exam, true, h) for h in exam.hypotheses if h["rule"] is not None]
        wrong = [a for a in audited if a.precision is not None and a.precision < WRONG]
        right = [a for a in audited if a.precision is not None and a.precision >= RIGHT]
        details = {
            "wrong": Counter(each.status for each in wrong),
            "right": Counter(each.status for each in right),
            "hypotheses": [each.details() for each in audited],
        }
        figures = Figures(exam, Answers(()), details)
        return [
            _share(figures, WRONG_REFUTED, wrong, "refuted", "no hypothesis was wrong"),
            _share(figures, WRONG_CONFIRMED, wrong, "confirmed", "no hypothesis was wrong"),
            _share(figures, RIGHT_REFUTED, right, "refuted", "no hypothesis was right"),
        ]


@dataclass(frozen=True, slots=True)
class _Audited:
    """One hypothesis held against the truth."""

    statement: str
    status: str
    precision: float | None
    """Share of the tokens it speaks of where what it says is true; None if it speaks of none."""
    n_tokens: int

    def details(self) -> dict[str, Any]:
        return {
            "statement": self.statement,
            "status": self.status,
            "precision": self.precision,
            "tokens": self.n_tokens,
        }


def _audited(exam: Exam, true: NDArray[np.float32], hypothesis: Mapping[str, Any]) -> _Audited:
    rule = rule_from_json(hypothesis["rule"])
    spoken_of = _spoken_of(exam, rule)
    holds = (true >= ACTIVE) == (hypothesis["polarity"] == "active")
    n_tokens = int(spoken_of.sum())
    precision = float(holds[spoken_of].mean()) if n_tokens else None
    return _Audited(hypothesis["statement"], hypothesis["status"], precision, n_tokens)


def _spoken_of(exam: Exam, rule: Rule) -> NDArray[np.bool_]:
    if rule.strength == 0:
        return np.zeros(len(exam.held_out.activations), np.bool_)
    return rule.predict_windows(exam.held_out.text.laid_out()) >= SAYS * rule.strength


def _share(
    figures: Figures, metric: str, audited: Sequence[_Audited], status: str, none: str
) -> Score:
    """The share that ended so; null where there is no such hypothesis."""
    ended = [float(each.status == status) for each in audited]
    return figures.figure(
        metric, mean_of(ended), texts=len(ended), trivial=UNDEFINED, undefined=none
    )


VERDICT_AUDIT = VerdictAudit()
