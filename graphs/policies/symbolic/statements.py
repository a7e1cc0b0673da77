"""Rules as statements and labels: the one place where hypotheses are worded."""

from __future__ import annotations

from collections.abc import Sequence

from graphs.records import Proposal
from tools.rules import CLASSES, Condition, Rule, TokenIn, fold, listing, phrase, pooled, visible

_MOST_LABELS = 4
_LABELLED = 0.5
"""Share of the strongest branch from which a branch is a meaning of its own."""
_MOST_SEPARATE = 3
"""Different words that get a label each; more are one set."""


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
        return [phrase(condition)]
    words: dict[str, list[str]] = {}
    for token in condition.tokens:
        words.setdefault(fold(token), []).append(token)
    if len(words) > 1 and (kind := _kind(condition.tokens)) is not None:
        return [
            f"{kind} such as {listing([visible(t) for t in condition.tokens[:_MOST_SEPARATE]])}"
        ]
    if len(words) > _MOST_SEPARATE:
        return [phrase(condition)]
    return [phrase(TokenIn(tuple(tokens), condition.folded)) for tokens in words.values()]


def _kind(tokens: Sequence[str]) -> str | None:
    """The class that tokens share, if one says something of them."""
    shared = (c.noun for c in CLASSES.values() if not c.broad and all(map(c.holds, tokens)))
    return next(shared, None)
