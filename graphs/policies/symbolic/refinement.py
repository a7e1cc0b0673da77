"""Refinement and termination: better rules from what was measured, and when to stop."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from graphs.policies.protocols import Case, Dossier
from graphs.policies.symbolic.division import best_split
from graphs.policies.symbolic.evidence import Evidence, all_evidence
from graphs.policies.symbolic.induction import (
    as_rule,
    branch_for,
    rounded,
    select,
    worth,
)
from graphs.policies.symbolic.literals import surroundings
from graphs.policies.symbolic.rivals import best_rule
from graphs.policies.symbolic.standing import Standing
from graphs.policies.symbolic.statements import propose
from graphs.policies.symbolic.whereabouts import places
from graphs.records import Hypothesis, Refinement, Review
from tools.rules import Branch, Rule, TokenIn, rule_from_json

MOST_NEW = 3
"""New hypotheses that the evidence may suggest, over the whole investigation."""
_BETTER = 0.02
"""Worth that a refinement must gain."""
_DOUBT = 4.0
"""Silent occurrences that a token is credited with before it was seen."""
_ENOUGH_TESTS = 8


def refine_hypotheses(dossier: Dossier, case: Case) -> list[Refinement]:
    """A better rule for each hypothesis to be refined, and a new one that beats them all."""
    evidence = all_evidence(dossier, case.observations)
    known = {rule_from_json(h.rule).sentence() for h in case.hypotheses if h.rule is not None}
    refinements: list[Refinement] = []
    for id in case.open:
        child = _child(case.hypothesis(id), evidence, known)
        if child is not None:
            known.add(child.sentence())
            refinements.append(Refinement(proposal=propose(child), parent=id))
    newcomer = _newcomer(case, evidence, known)
    if newcomer is not None:
        refinements.append(Refinement(proposal=propose(newcomer)))
    return refinements


def _child(parent: Hypothesis, evidence: Evidence, known: set[str]) -> Rule | None:
    """The best edit of the parent's rule that says what no hypothesis said before."""
    if parent.rule is None or parent.polarity == "inactive":
        return None
    rule = rule_from_json(parent.rule)
    least = worth(rule, evidence) + _BETTER
    fresh = [edit for edit in _edits(rule, evidence) if edit.sentence() not in known]
    edits = {edit: worth(edit, evidence) for edit in fresh}
    best = max(edits, key=edits.__getitem__, default=None)
    return best if best is not None and edits[best] >= least else None


def _edits(rule: Rule, evidence: Evidence) -> Iterator[Rule]:
    """The rule refitted, trimmed, narrowed by context, or extended."""
    options = [
        [branch_for(branch.condition, evidence) for branch in rule.branches],
        *_trimmed(rule),
        *_narrowed(rule, evidence),
        list(select(_missed(evidence), evidence, rule.branches)),
    ]
    for branches in options:
        edited = as_rule(branches)
        if edited is not None:
            yield edited


def _trimmed(rule: Rule) -> Iterator[list[Branch]]:
    """One branch, or one listed token, fewer."""
    for branch in rule.branches:
        others = [other for other in rule.branches if other != branch]
        yield others
        if isinstance(branch.condition, TokenIn) and len(branch.condition.tokens) > 1:
            for token in branch.condition.tokens:
                rest = tuple(t for t in branch.condition.tokens if t != token)
                fewer = TokenIn(rest, branch.condition.folded)
                yield [*others, Branch(fewer, branch.strength)]


def _narrowed(rule: Rule, evidence: Evidence) -> Iterator[list[Branch]]:
    """A branch divided where context decides."""
    for branch in rule.branches:
        others = [other for other in rule.branches if other != branch]
        base = branch.condition.mask(evidence.windows)
        split = best_split(branch.condition, [*surroundings(evidence, base), *places()], evidence)
        if split is not None:
            parts = [branch_for(split.inside, evidence), branch_for(split.outside, evidence)]
            yield [*others, *parts]
            yield [*others, parts[0]]


def _missed(evidence: Evidence) -> list[Branch]:
    """Tokens that fired strongly somewhere."""
    codes = np.unique(evidence.windows.codes[evidence.target >= 0.5])
    tokens = [TokenIn((token,)) for token in evidence.windows.spelled(codes)]
    return [Branch(token, rounded(_shrunk(token, evidence))) for token in tokens]


def _shrunk(token: TokenIn, evidence: Evidence) -> float:
    """Mean activation of a token, nearer to 0 the less often it was seen."""
    weight = float(evidence.weight[token.mask(evidence.windows)].sum())
    return evidence.strength(token) * weight / (weight + _DOUBT)


def _newcomer(case: Case, evidence: Evidence, known: set[str]) -> Rule | None:
    """A rule induced afresh that is worth more than every hypothesis still standing."""
    later = [h for h in case.hypotheses if h.round > 0 and h.parent is None]
    if len(later) >= MOST_NEW:
        return None
    fallen = ("refuted", "dropped")
    standing = [h for h in case.hypotheses if h.status not in fallen and h.polarity == "active"]
    rules = [rule_from_json(h.rule) for h in standing if h.rule is not None]
    least = max(map(partial(worth, evidence=evidence), rules), default=0.0) + _BETTER
    found = best_rule(evidence)
    if found is None or found.worth < least or found.rule.sentence() in known:
        return None
    return found.rule


def review(dossier: Dossier, case: Case) -> Review:
    """Conclude, unless the leader was tested too little."""
    confirmed = [h for h in case.hypotheses if h.status == "confirmed" and h.polarity == "active"]
    leader = max(confirmed, key=Standing(dossier, case).support, default=None)
    if leader is not None and leader.tests < _ENOUGH_TESTS and case.reviews == 0:
        return Review(requests=(leader.id,))
    return Review()
