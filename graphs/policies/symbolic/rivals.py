"""Rival rules: one from each way of looking at a feature, so that they differ in kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from graphs.policies.protocols import Dossier
from graphs.policies.symbolic.branches import rounded
from graphs.policies.symbolic.divisions import Divisions, Vocabulary
from graphs.policies.symbolic.evidence import Evidence, Floats, weighted_mean
from graphs.policies.symbolic.growing import grow
from graphs.policies.symbolic.induction import FAINTEST, as_rule, worth
from graphs.policies.symbolic.literals import kinds_of_token
from graphs.policies.symbolic.saying import as_branches
from graphs.policies.symbolic.tallies import Tallies
from graphs.policies.symbolic.whereabouts import places
from tools.rules import Branch, InClass, Rule, TokenIn

MOST_RIVALS = 5
FEWEST_RIVALS = 4
"""Besides the hypothesis about what must not fire."""
_SAME = 0.97
"""Rules whose predictions correlate above this are variants of one."""
_VOCABULARIES = (
    Vocabulary(),
    Vocabulary(kinds=False, context=False),
    Vocabulary(tokens=False),
    Vocabulary(tokens=False, kinds=False),
    Vocabulary(tokens=False, context=False),
)
"""What the rules of each family may speak of."""


class Rival(NamedTuple):
    """A rule and how much it explains for what it costs to say."""

    rule: Rule
    worth: float


def rivals(dossier: Dossier, evidence: Evidence) -> list[Rival]:
    """The best rule of each family, the most worthwhile first, without variants of one."""
    tallies = Tallies(evidence)
    # One tree after the other: the sums in a tree take much memory.
    found = (_grown(Divisions(tallies, vocabulary)) for vocabulary in _VOCABULARIES)
    rules = [rule for rule in found if rule is not None]
    ranked = _ranked(rules, evidence)
    kept = _Kept(evidence)
    for rival in ranked:
        kept.add_unless_alike(rival)
    spares = _spares(evidence)
    while len(kept.rivals) < FEWEST_RIVALS and (spare := next(spares, None)) is not None:
        kept.add_unless_alike(spare)
    # A feature so plain that nothing else is left gets variants of its one rule as rivals.
    variants = [rival for rival in ranked if rival not in kept.rivals]
    return [*kept.rivals[:MOST_RIVALS], *variants[: max(0, FEWEST_RIVALS - len(kept.rivals))]]


def best_rule(evidence: Evidence) -> Rival | None:
    """The rule that may speak of everything; None if nothing is worth saying."""
    rule = _grown(Divisions(Tallies(evidence)))
    return None if rule is None else Rival(rule, worth(rule, evidence))


def _grown(divisions: Divisions) -> Rule | None:
    with divisions.tallies.evidence.windows.forgetting():
        return as_rule(as_branches(grow(divisions)))


def _ranked(rules: Iterable[Rule], evidence: Evidence) -> list[Rival]:
    found = [Rival(rule, worth(rule, evidence)) for rule in dict.fromkeys(rules)]
    return sorted(found, key=lambda rival: -rival.worth)


class _Kept:
    """Rivals none of which predicts, or reads, almost as a better one does."""

    def __init__(self, evidence: Evidence) -> None:
        self.rivals: list[Rival] = []
        self._evidence = evidence
        self._predicted: list[Floats] = []
        self._sentences: set[str] = set()

    def add_unless_alike(self, rival: Rival) -> None:
        """Keep a rival if it says something else."""
        sentence = rival.rule.sentence()
        predicted = self._standardised(rival.rule)
        if sentence in self._sentences or any(self._same(predicted, p) for p in self._predicted):
            return
        self.rivals.append(rival)
        self._predicted.append(predicted)
        self._sentences.add(sentence)

    def _same(self, one: Floats, other: Floats) -> bool:
        return np.array_equal(one, other) or float(one @ other) > _SAME

    def _standardised(self, rule: Rule) -> Floats:
        """Predictions whose products are weighted correlations; 0 where they are all the same."""
        weight = self._evidence.weight
        predicted = rule.predict_windows(self._evidence.windows).astype(np.float64)
        centred = np.sqrt(weight) * (predicted - weighted_mean(weight, predicted))
        spread = float(np.sqrt(centred @ centred))
        return centred / spread if spread else centred


def _spares(evidence: Evidence) -> Iterator[Rival]:
    """Plain rivals for features so simple that every family finds the same rule."""
    windows = evidence.windows
    loud = np.bincount(windows.codes, evidence.target, len(windows.vocabulary))
    loudest: list[int] = np.argsort(-loud, kind="stable")[:2].tolist()
    words = [TokenIn((windows.vocabulary[code],), folded=True) for code in loudest]
    for condition in (*words, *kinds_of_token(evidence), *places(), InClass("any")):
        strength = max(rounded(evidence.strength(condition)), FAINTEST)
        rule = Rule((Branch(condition, strength),))
        yield Rival(rule, worth(rule, evidence))
