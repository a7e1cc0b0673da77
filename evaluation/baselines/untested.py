"""Baseline: what the run's own policy thought first, before any experiment."""

from __future__ import annotations

from collections.abc import Mapping

from evaluation.baselines.baseline import Desk, by_rule, missing
from evaluation.candidate import Candidate
from graphs.records import Proposal


class Untested:
    """The first hypothesis of what fires that the run proposed, as it was before it was tested."""

    name = "untested"

    def asks(self, policy: str) -> bool:
        """Never."""
        return False

    def recipe(self, agentic: Mapping[int, Candidate]) -> str:
        """Its version."""
        return "1"

    def explain(self, desk: Desk) -> Candidate:
        """The statement and rule of that hypothesis."""
        first = next(
            (h for h in desk.hypotheses if h["round"] == 0 and h["polarity"] == "active"), None
        )
        if first is None:
            reason = "the run proposed no hypothesis of what the feature fires on"
            return missing(self.name, desk.feature, reason, desk.proposing)
        proposal = Proposal(statement=first["statement"], rule=first["rule"])
        return by_rule(self.name, desk.feature, proposal, desk.proposing)
