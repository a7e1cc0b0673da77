"""The seam of the scorers: an explanation and a judge in, scores out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from evaluation.candidate import Candidate
from evaluation.exam import Exam
from evaluation.judges.judge import Judge
from evaluation.scores import Score


class Scorer(Protocol):
    """One protocol of scoring; may give several figures that rest on the same answers."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the figures it gives, always all of them and in this order."""
        ...

    @property
    def version(self) -> int:
        """Raised when the protocol changes: stored scores of another version are stale."""
        ...

    def score(self, exam: Exam, candidate: Candidate, judge: Judge) -> Sequence[Score]:
        """Score one explanation.

        Raises:
            Unscorable: no figure can be had, and why; each becomes null with that reason.
        """
        ...
