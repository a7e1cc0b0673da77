"""From rules as language models write them to rules that can be executed."""

from __future__ import annotations

from typing import Any

from graphs.policies.language_model.replies import FlatBranch, FlatRule
from graphs.records import Expectation
from tools.errors import RuleError
from tools.rules import Rule, rule_from_json

MOST_BRANCHES = 24
MOST_TOKENS = 60
"""Tokens or words listed in one condition."""
LONGEST = 60
"""Characters of one of them."""
FARTHEST = 64
"""Tokens that a rule may look back."""
_PLACES = ("line_start", "sentence_start", "repeated")
"""Kinds of condition without fields, by the names that a branch has for them."""


def executable(flat: FlatRule, polarity: Expectation) -> Rule:
    """The rule in the language of `tools.rules`.

    A rule about silence says where, not how strongly: its branches all have strength 1.

    Raises:
        RuleError: a branch has no condition, one that does not exist, or too much to be a rule.
    """
    if len(flat.branches) > MOST_BRANCHES:
        raise RuleError(f"A rule has at most {MOST_BRANCHES} branches, not {len(flat.branches)}.")
    branches = [
        {"when": _when(branch), "strength": branch.strength if polarity == "active" else 1.0}
        for branch in flat.branches
    ]
    rule = rule_from_json({"branches": branches})
    if not rule.strength:
        raise RuleError("Some branch of a rule needs a strength above 0.")
    return rule


def _when(branch: FlatBranch) -> dict[str, Any]:
    conditions = [*_surface(branch), *_place(branch)]
    if not conditions:
        raise RuleError("A branch needs a condition, such as tokens.")
    if len(conditions) == 1:
        return conditions[0]
    return {"kind": "all_of", "conditions": conditions}


def _surface(branch: FlatBranch) -> list[dict[str, Any]]:
    """What the token is."""
    found = [_token_in(branch.tokens)] if branch.tokens else []
    if branch.words:
        found.append({"kind": "word_in", **_words(branch.words)})
    if branch.token_class:
        found.append({"kind": "token_class", "name": branch.token_class})
    for at, text in (("start", branch.starts_with), ("end", branch.ends_with)):
        if text:
            found.append({"kind": "affix", "text": _readable(text), "at": at})
    return found


def _place(branch: FlatBranch) -> list[dict[str, Any]]:
    """Where the token stands, exceptions last, as it is said."""
    found = [_before(branch.after, branch.within)] if branch.after else []
    if branch.after_words:
        said = _words(branch.after_words)
        found.append({"kind": "word_before", **said, **_distances(branch.within)})
    if branch.inside:
        found.append({"kind": "inside", "what": branch.inside})
    found += [{"kind": kind} for kind in _PLACES if getattr(branch, kind)]
    if branch.not_after:
        found.append({"kind": "not", "condition": _before(branch.not_after, branch.within)})
    return found


def _before(tokens: list[str], within: int) -> dict[str, Any]:
    return {"kind": "before", "condition": _token_in(tokens), **_distances(within)}


def _distances(within: int) -> dict[str, Any]:
    if not 1 <= within <= FARTHEST:
        raise RuleError(f"'within' must be from 1 to {FARTHEST} tokens, not {within}.")
    return {"nearest": 1, "farthest": within}


def _token_in(tokens: list[str]) -> dict[str, Any]:
    return {"kind": "token_in", "tokens": _listed(tokens)}


def _words(words: list[str]) -> dict[str, Any]:
    """Words in any case; a leading space is the tokenizer's."""
    return {"words": _listed([word.strip() for word in words]), "folded": True}


def _listed(surfaces: list[str]) -> list[str]:
    if len(surfaces) > MOST_TOKENS:
        raise RuleError(
            f"A condition lists at most {MOST_TOKENS} tokens or words, not {len(surfaces)}."
        )
    return list(map(_readable, surfaces))


def _readable(surface: str) -> str:
    if not 0 < len(surface) <= LONGEST or any("\ud800" <= char <= "\udfff" for char in surface):
        raise RuleError(f"A token or word must be valid Unicode of 1 to {LONGEST} characters.")
    return surface
