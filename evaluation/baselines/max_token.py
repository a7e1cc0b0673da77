"""Baseline: the one token on which the feature fires most strongly."""

from __future__ import annotations

from collections.abc import Mapping

from evaluation.baselines.baseline import NEVER_FIRES, Desk, by_rule, missing
from evaluation.candidate import Candidate
from graphs.policies.symbolic.statements import propose
from tools.rules import Branch, Rule, TokenIn


class MaxToken:
    """Says that the feature fires, at full strength, on the peak of the strongest exemplar."""

    name = "max_token"

    def asks(self, policy: str) -> bool:
        """Never."""
        return False

    def recipe(self, agentic: Mapping[int, Candidate]) -> str:
        """Its version."""
        return "1"

    def explain(self, desk: Desk) -> Candidate:
        """A rule of one token."""
        if not desk.top:
            return missing(self.name, desk.feature, NEVER_FIRES)
        strongest = desk.top[0]
        rule = Rule((Branch(TokenIn((strongest.tokens[strongest.peak],)), 1.0),))
        return by_rule(self.name, desk.feature, propose(rule))
