"""How hypotheses stand against each other once tests have decided which of them hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphs.policies.protocols import Case, Dossier
from graphs.policies.symbolic.background import with_background
from graphs.policies.symbolic.evidence import (
    corpus_evidence,
    observed_evidence,
    unseen_evidence,
)
from graphs.policies.symbolic.induction import cost, shares
from graphs.records import Hypothesis
from tools.rules import Rule, rule_from_json

_EXPERIMENTS = 0.25
"""Weight of the experiments beside the corpus: rules that were fitted to them agree with them."""
_PLAIN = 0.1
"""How much of its cost in words counts against a rule."""
_ABOUT_AS_WELL = 0.05
"""Support by which a surer child may be behind."""


class Standing:
    """Agreement of hypotheses with all that was measured.

    The propose split tells most, of much text; on the test split no rule was fitted. What does
    well on one of them alone was found by chance.
    """

    def __init__(self, dossier: Dossier, case: Case) -> None:
        self._corpus = corpus_evidence(dossier)
        self._unseen = unseen_evidence(dossier)
        self._observed = observed_evidence(dossier, case.observations)

    def support(self, hypothesis: Hypothesis) -> float:
        """Correlation with what was measured, less what the rule costs to say.

        A hypothesis without a rule has the share of its tests that came out as predicted, set off
        against chance.
        """
        if hypothesis.rule is None:
            return len(hypothesis.supporting) / max(1, hypothesis.tests) - 0.5
        rule = rule_from_json(hypothesis.rule)
        price = sum(cost(branch.condition, self._corpus) for branch in rule.branches)
        return self.agreement(rule) - _PLAIN * price

    def leader(self, hypotheses: Iterable[Hypothesis]) -> Hypothesis | None:
        """The best supported one, or its surer child where both are confirmed; None of none.

        A confirmed hypothesis has a child because claims of its own often failed, see
        `sharpening`: the child takes its place where it is confirmed and about as well supported.
        """
        chosen = list(hypotheses)
        best = max(chosen, key=self.support, default=None)
        while best is not None and (surer := self._surer(best, chosen)) is not None:
            best = surer
        return best

    def _surer(self, parent: Hypothesis, chosen: Sequence[Hypothesis]) -> Hypothesis | None:
        least = self.support(parent) - _ABOUT_AS_WELL
        children = [
            child
            for child in chosen
            if child.parent == parent.id
            and child.status == parent.status == "confirmed"
            and self.support(child) >= least
        ]
        return max(children, key=self.support, default=None)

    def agreement(self, rule: Rule) -> float:
        """Correlation of a rule's predictions with what was measured, corpus and experiments."""
        corpus = (self._corpus.agreement(rule) + self._unseen.agreement(rule)) / 2
        return (1 - _EXPERIMENTS) * corpus + _EXPERIMENTS * self._observed.agreement(rule)

    def completed(self, rule: Rule) -> Rule:
        """The rule with the background that the corpus shows beside it."""
        return with_background(rule, self._corpus)

    def shares(self, rule: Rule) -> list[float]:
        """How much of the feature's activation in the corpus each branch explains."""
        return shares(rule, self._corpus)
