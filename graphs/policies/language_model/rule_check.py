"""A rule is executed on the corpus before any experiment is spent on it."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from graphs.policies.language_model.flat_rules import executable
from graphs.policies.language_model.replies import FlatRule
from graphs.policies.language_model.words import clean, shortened
from graphs.policies.protocols import Dossier
from graphs.policies.symbolic.evidence import Evidence, corpus_evidence
from graphs.records import Expectation, Proposal
from tools.errors import RuleError, UnusableReply
from tools.rules import Mask, Rule

TOO_LOUD = 0.1
"""Share of strong tokens from which a rule about silence is contradicted."""
LONGEST_STATEMENT = 300


class Contradicted(UnusableReply):
    """The corpus plainly contradicts the rule of a hypothesis: no experiment is spent on it."""


class _Fit(NamedTuple):
    """How a rule does on the propose split."""

    found: str
    trouble: str
    """What contradicts it; empty for nothing."""


class RuleCheck:
    """Makes proposals of what a language model says, and checks their rules on the corpus."""

    def __init__(self, dossier: Dossier) -> None:
        self._dossier = dossier

    def proposal(
        self, statement: str, polarity: Expectation, flat: FlatRule | None, *, last: bool
    ) -> Proposal:
        """A proposal with its rule, if that can be executed.

        Raises:
            Contradicted: the corpus plainly contradicts the rule.
            UnusableReply: the statement says nothing, or, unless `last`, the rule cannot be
                executed.
        """
        worded = clean(statement, LONGEST_STATEMENT)
        if not worded:
            raise UnusableReply("A hypothesis has an empty statement; give it a sentence.")
        if flat is None:
            return Proposal(statement=worded, polarity=polarity)
        try:
            rule = executable(flat, polarity)
        except RuleError as error:
            if not last:
                raise UnusableReply(
                    f"The rule of the hypothesis {shortened(worded, 80)!r} cannot be executed: "
                    f"{error} Mend it, or give null for it."
                ) from error
            note = f"its rule was left out: {clean(str(error), 120)}"
            return Proposal(statement=worded, polarity=polarity, note=note)
        return self._checked(worded, polarity, rule)

    def _checked(self, statement: str, polarity: Expectation, rule: Rule) -> Proposal:
        fit = self._as_said(rule) if polarity == "active" else self._as_silence(rule)
        if not fit.trouble:
            return Proposal(
                statement=statement, polarity=polarity, rule=rule.to_json(), note=fit.found
            )
        raise Contradicted(
            f"The corpus contradicts the rule of {shortened(statement, 80)!r}: {fit.trouble}."
        )

    def _as_said(self, rule: Rule) -> _Fit:
        held, loud = self._held(rule), self._loud
        missed = bool(loud.any()) and not bool((held & loud).any())
        r = round(self._evidence.agreement(rule), 2) + 0.0
        return _Fit(
            found=f"its rule agrees with the propose split: r = {r:.2f} over {len(held):,} tokens",
            trouble=f"it holds on none of {int(loud.sum()):,} that fire strongly" if missed else "",
        )

    def _as_silence(self, rule: Rule) -> _Fit:
        held = self._held(rule)
        strong, met = int((held & self._loud).sum()), int(held.sum())
        found = f"holds on {met:,} of {len(held):,} tokens, of which {strong:,} fire strongly"
        return _Fit(
            found=f"in the propose split its rule {found}",
            trouble=f"it {found}" if strong and strong >= TOO_LOUD * met else "",
        )

    @cached_property
    def _evidence(self) -> Evidence:
        return corpus_evidence(self._dossier)

    def _held(self, rule: Rule) -> Mask:
        return rule.predict_windows(self._evidence.windows) > 0

    @property
    def _loud(self) -> Mask:
        return self._evidence.target >= self._dossier.thresholds.active
