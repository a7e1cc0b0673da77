"""Words of an explanation that no measurement backs: ids and numbers, and what denies the rule."""

from __future__ import annotations

import re

from graphs.policies.symbolic.texts import expectation
from tools.rules import Rule

_TOKEN = re.compile(r"""(?<!\w)(?:'( ?[^\s']+)'|"( ?[^\s"]+)"|`( ?[^\s`]+)`)(?!\w)""")
"""One token in quotes: its numbers are the token's own."""
_REFERENCE = re.compile(r"\b[OEH]\d+(?:\.\d+)?\b|(?<![\w.])\d*\.\d+(?!\.?\d)")
"""An id of an observation, experiment or hypothesis, or a decimal number."""
_FILLER = re.compile(r"(?:\b(?:the|tokens?|and|or)\b|[\s,.])*")


def references(text: str) -> list[str]:
    """Ids and decimal numbers in a text, those inside of quoted tokens aside."""
    return _REFERENCE.findall(_TOKEN.sub("", text))


def without_references(text: str) -> str:
    """The text without its ids and decimal numbers, those inside of quoted tokens aside."""
    parts: list[str] = []
    end = 0
    for token in _TOKEN.finditer(text):
        parts += [_REFERENCE.sub("", text[end : token.start()]), token[0]]
        end = token.end()
    return "".join([*parts, _REFERENCE.sub("", text[end:])])


def names_what_fires(item: str, rule: Rule) -> bool:
    """Whether an item names nothing but tokens, one of which the rule says to fire by itself."""
    quoted = [next(filter(None, match.groups())) for match in _TOKEN.finditer(item)]
    if quoted and _FILLER.fullmatch(_TOKEN.sub("", item)):
        named = quoted
    elif len(item.split()) == 1:
        named = [item, f" {item}"]
    else:
        return False
    return any(expectation(rule, [token]) == "active" for token in named)
