"""Refinement and termination: better rules from what was measured, and when to stop."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from heapq import nlargest
from typing import NamedTuple

import numpy as np

from graphs.policies.protocols import Case, Dossier
from graphs.policies.symbolic.branches import rounded
from graphs.policies.symbolic.division import best_split
from graphs.policies.symbolic.evidence import (
    Evidence,
    all_evidence,
    joined,
    near_evidence,
    unseen_evidence,
)
from graphs.policies.symbolic.induction import (
    as_rule,
    branch_for,
    refitted,
    select,
    worth,
)
from graphs.policies.symbolic.literals import surroundings
from graphs.policies.symbolic.rivals import best_rule
from graphs.policies.symbolic.sharpening import sharpened
from graphs.policies.symbolic.standing import Standing
from graphs.policies.symbolic.statements import propose
from graphs.policies.symbolic.variants import improved
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
_MOST_SURER = 2
"""Children of one confirmed hypothesis."""
_LIKELY = 6
"""Edits of a rule, the best by few tokens, that are held against all of them."""


class Measured(NamedTuple):
    """What rules are edited by, and what changes of one step after the other must hold on."""

    evidence: Evidence
    """The propose split and the experiments."""
    near: Evidence
    """The same without the census."""
    unseen: Evidence
    """The test split's contexts."""

    def worth(self, rule: Rule) -> float:
        """What a rule explains for what it costs to say, where it was edited to."""
        return worth(rule, self.evidence)

    def fitted(self, rule: Rule) -> Rule:
        """The rule with strengths as measured on all tokens."""
        return as_rule(refitted(rule.branches, self.evidence)) or rule


def refine_hypotheses(dossier: Dossier, case: Case) -> list[Refinement]:
    """A better rule for each hypothesis to be refined, and a new one that beats them all."""
    measured = Measured(
        all_evidence(dossier, case.observations),
        near_evidence(dossier, case.observations),
        unseen_evidence(dossier),
    )
    known = {rule_from_json(h.rule).sentence() for h in case.hypotheses if h.rule is not None}
    established = max(map(measured.worth, _confirmed(case)), default=0.0)
    refinements: list[Refinement] = []
    for id in case.open:
        child = _child(case.hypothesis(id), measured, known)
        # What is behind an established rule even when it is mended would change no order.
        if child is not None and measured.worth(child) >= established - _BETTER:
            known.add(child.sentence())
            refinements.append(Refinement(proposal=propose(child), parent=id))
    newcomer = _newcomer(case, measured, known)
    if newcomer is not None:
        known.add(newcomer.sentence())
        refinements.append(Refinement(proposal=propose(newcomer)))
    return [*refinements, *_surer(dossier, case, measured, known)]


def _confirmed(case: Case) -> list[Rule]:
    return [rule_from_json(h.rule) for h in case.hypotheses if _leads(h)]


def _leads(hypothesis: Hypothesis) -> bool:
    """Whether an explanation may rest on it, and it can be edited."""
    firing = hypothesis.polarity == "active" and hypothesis.rule is not None
    return firing and hypothesis.status == "confirmed"


def _surer(
    dossier: Dossier, case: Case, measured: Measured, known: set[str]
) -> Iterator[Refinement]:
    """A child of the leading hypothesis, confirmed as it is, if what it is surest of often fails.

    It is for tests to say whether the child holds.
    """
    leader = Standing(dossier, case).leader(filter(_leads, case.hypotheses))
    if leader is None or sum(h.parent == leader.id for h in case.hypotheses) >= _MOST_SURER:
        return
    evidence = joined(measured.near, measured.unseen)
    rule = rule_from_json(leader.rule)
    surer = sharpened(rule, evidence, dossier.thresholds.active, measured.fitted)
    if surer.sentence() not in known:
        yield Refinement(proposal=propose(surer), parent=leader.id)


def _child(parent: Hypothesis, measured: Measured, known: set[str]) -> Rule | None:
    """The best edit of the parent's rule that says what no hypothesis said before."""
    if parent.rule is None or parent.polarity == "inactive":
        return None
    rule = rule_from_json(parent.rule)
    least = measured.worth(rule) + _BETTER
    fresh = [edit for edit in _edits(rule, measured) if edit.sentence() not in known]
    likely = nlargest(_LIKELY, fresh, key=partial(worth, evidence=measured.near))
    best = max(map(measured.fitted, likely), key=measured.worth, default=None)
    if best is None or measured.worth(best) < least or best.sentence() in known:
        return None
    return best


def _edits(rule: Rule, measured: Measured) -> Iterator[Rule]:
    """The rule refitted, trimmed, narrowed by context, extended, or changed step by step."""
    evidence = measured.near
    options = [
        refitted(rule.branches, evidence),
        *_trimmed(rule),
        *_narrowed(rule, evidence),
        list(select(_missed(evidence), evidence, rule.branches)),
    ]
    for branches in options:
        edited = as_rule(branches)
        if edited is not None:
            yield edited
    yield improved(rule, measured.near, measured.unseen)


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


def _newcomer(case: Case, measured: Measured, known: set[str]) -> Rule | None:
    """A rule induced afresh that is worth more than every hypothesis still standing."""
    later = [h for h in case.hypotheses if h.round > 0 and h.parent is None]
    if len(later) >= MOST_NEW:
        return None
    fallen = ("refuted", "dropped")
    standing = [h for h in case.hypotheses if h.status not in fallen and h.polarity == "active"]
    rules = [rule_from_json(h.rule) for h in standing if h.rule is not None]
    rules.sort(key=measured.worth, reverse=True)
    least = max(map(measured.worth, rules), default=0.0) + _BETTER
    induced = best_rule(measured.evidence)
    found = [induced.rule] if induced is not None else []
    bettered = (improved(rule, measured.near, measured.unseen) for rule in [*found, *rules[:2]])
    found += map(measured.fitted, bettered)
    fresh = [rule for rule in found if rule.sentence() not in known]
    best = max(fresh, key=measured.worth, default=None)
    if best is None or measured.worth(best) < least:
        return None
    return best


def review(dossier: Dossier, case: Case) -> Review:
    """Conclude, unless the leader was tested too little, or all that was confirmed has fallen.

    A rival is closed without a decision while a better one stands; with none, it is tried again.
    """
    claims = [h for h in case.hypotheses if h.polarity == "active"]
    confirmed = [h for h in claims if h.status == "confirmed"]
    left = confirmed or [h for h in claims if h.status == "undecided"]
    leader = Standing(dossier, case).leader(left)
    hardly_tested = leader is not None and leader.tests < _ENOUGH_TESTS and case.reviews == 0
    if leader is not None and (hardly_tested or not confirmed):
        return Review(requests=(leader.id,))
    return Review()
