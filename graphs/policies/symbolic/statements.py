"""Rules as statements and labels: the one place where hypotheses are worded."""

from __future__ import annotations

from graphs.records import Proposal
from tools.rules import Condition, Detail, Rule, TokenIn, fold, kind_of, pooled

_MOST_LABELS = 4
_LABELLED = 0.5
"""Share of the strongest branch from which a branch is a meaning of its own."""
_MOST_SEPARATE = 3
"""Different words that get a label each; more are one set."""
_LABEL = Detail(listed=4, deep=2, joined=2)


def propose(rule: Rule) -> Proposal:
    """The hypothesis that the feature fires as a rule says."""
    return Proposal(statement=f"Fires on {rule.sentence()}.", rule=rule.to_json())


def propose_silence(rule: Rule) -> Proposal:
    """The hypothesis that the feature does not fire where a rule holds."""
    return Proposal(
        statement=f"Does not fire on {rule.sentence()}.",
        polarity="inactive",
        rule=rule.to_json(),
    )


def labels(rule: Rule) -> tuple[str, ...]:
    """One short label for each distinct thing that clearly fires."""
    clear = [b.condition for b in rule.branches if b.strength >= _LABELLED * rule.strength]
    found = [label for condition in pooled(clear) for label in _meanings(condition)]
    return tuple(dict.fromkeys(found))[:_MOST_LABELS]


def _meanings(condition: Condition) -> list[str]:
    """Tokens are one meaning when they are of a kind, or too many to be told apart."""
    if not isinstance(condition, TokenIn):
        return [condition.phrase(_LABEL)]
    words: dict[str, list[str]] = {}
    for token in condition.tokens:
        words.setdefault(fold(token), []).append(token)
    if len(words) > _MOST_SEPARATE or (len(words) > 1 and kind_of(condition.tokens)):
        return [condition.phrase(_LABEL)]
    return [TokenIn(tuple(t), condition.folded).phrase(_LABEL) for t in words.values()]
