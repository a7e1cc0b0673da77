"""Rival rules: one from each way of looking at a feature, so that they differ in kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from graphs.policies.protocols import Dossier
from graphs.policies.symbolic.division import divided
from graphs.policies.symbolic.evidence import Evidence, correlation
from graphs.policies.symbolic.induction import (
    FAINTEST,
    as_rule,
    branch_for,
    rounded,
    select,
    worth,
)
from graphs.policies.symbolic.literals import kinds_of_token, places, surroundings
from graphs.policies.symbolic.triggers import single_tokens, telling_rows, token_branches
from tools.rules import Branch, Condition, InClass, Mask, Rule, TokenIn, fold

MOST_RIVALS = 5
FEWEST_RIVALS = 4
"""Besides the hypothesis about what must not fire."""
_SAME = 0.97
"""Rules whose predictions correlate above this are variants of one."""
_DEPTH = 2
_LOUD = 0.4
"""Share of the loudest token's strength from which a token counts as loud."""
_MOST_WORDS = 48
"""Words that are tried in any spelling."""


class Rival(NamedTuple):
    """A rule and how much it explains for what it costs to say."""

    rule: Rule
    worth: float


def rivals(dossier: Dossier, evidence: Evidence) -> list[Rival]:
    """The best rule of each family, the most worthwhile first, without variants of one."""
    tokens = token_branches(dossier, evidence)
    kinds = select(_kind_branches(evidence), evidence)
    contexts = [list(family) for family in _in_context(tokens, kinds, evidence)]
    pool = [*kinds, *(branch for family in contexts for branch in family)]
    combined = select([*pool, *single_tokens(dossier)], evidence)
    families: list[Sequence[Branch]] = [combined, tokens, kinds, *contexts]
    rules = [rule for rule in map(as_rule, families) if rule is not None]
    ranked = _ranked(rules, evidence)
    kept = _diverse(ranked, evidence)
    if len(kept) < FEWEST_RIVALS:
        kept = _diverse([*kept, *_ranked(_spares(dossier, evidence), evidence)], evidence)
    # A feature so plain that nothing else is left gets variants of its one rule as rivals.
    variants = [rival for rival in ranked if rival not in kept]
    return [*kept[:MOST_RIVALS], *variants[: max(0, FEWEST_RIVALS - len(kept))]]


def _ranked(rules: Iterable[Rule], evidence: Evidence) -> list[Rival]:
    found = [Rival(rule, worth(rule, evidence)) for rule in dict.fromkeys(rules)]
    return sorted(found, key=lambda rival: -rival.worth)


def _diverse(ranked: Sequence[Rival], evidence: Evidence) -> list[Rival]:
    """Leave out what predicts, or reads, almost as a better rule does."""
    kept: list[Rival] = []
    for rival in ranked:
        if not any(_alike(rival.rule, other.rule, evidence) for other in kept):
            kept.append(rival)
    return kept


def _alike(one: Rule, other: Rule, evidence: Evidence) -> bool:
    a, b = (rule.predict_windows(evidence.windows) for rule in (one, other))
    if np.array_equal(a, b) or one.sentence() == other.sentence():
        return True
    return correlation(a, b, evidence.weight) > _SAME


def _kind_branches(evidence: Evidence) -> list[Branch]:
    """Classes, affixes and words in any spelling."""
    surfaces = evidence.windows.spelled(np.unique(evidence.windows.codes[evidence.target > 0]))
    words = Counter(map(fold, surfaces))
    folded = [
        TokenIn((word,), folded=True) for word, count in words.most_common(_MOST_WORDS) if count > 1
    ]
    return [branch_for(kind, evidence) for kind in [*kinds_of_token(evidence), *folded]]


def _in_context(
    tokens: Sequence[Branch], kinds: Sequence[Branch], evidence: Evidence
) -> Iterator[list[Branch]]:
    """Tokens, their kind, or any token: divided by what came before or where it stands."""
    around = partial(surroundings, evidence)
    for base in _bases(tokens, kinds):
        yield divided(base, around, evidence, _DEPTH)
        yield divided(base, _places, evidence, 1)
    yield from ([branch] for branch in _best_context(evidence))


def _places(base: Mask) -> list[Condition]:
    return places()


def _bases(tokens: Sequence[Branch], kinds: Sequence[Branch]) -> list[Condition]:
    """What may be divided by context: the tokens, the loud ones, kinds, any token."""
    loudest = max((branch.strength for branch in tokens), default=0.0)
    bases: list[Condition] = [branch.condition for branch in kinds[:2]]
    for least in (0.0, _LOUD * loudest):
        sets = [branch.condition for branch in tokens if branch.strength >= least]
        named = [token for c in sets if isinstance(c, TokenIn) for token in c.tokens]
        bases.extend([TokenIn(tuple(named)), TokenIn((named[0],))] if named else [])
    return [*dict.fromkeys(bases), InClass("any")]


def _best_context(evidence: Evidence) -> Iterator[Branch]:
    """The place or surrounding that alone tells most, whatever the token."""
    everywhere = np.ones(len(evidence.windows), dtype=bool)
    for literals in (surroundings(evidence, everywhere), places()):
        best = select([branch_for(literal, evidence) for literal in literals], evidence)
        yield from best[:1]


def _spares(dossier: Dossier, evidence: Evidence) -> Iterator[Rule]:
    """Plain rivals for features so simple that every family finds the same rule."""
    words = [TokenIn((row.token,), folded=True) for row in telling_rows(dossier)[:2]]
    for condition in (*words, *kinds_of_token(evidence), *places(), InClass("any")):
        yield Rule((Branch(condition, max(rounded(evidence.strength(condition)), FAINTEST)),))
