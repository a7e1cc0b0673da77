"""Conditions that name no token: on where a token stands, and on the kinds of tokens before it."""

from __future__ import annotations

from typing import get_args

from tools.rules import (
    CLASSES,
    Before,
    Condition,
    Enclosure,
    FirstTokens,
    InClass,
    Indented,
    Induced,
    Inside,
    LineStart,
    Recurring,
    Repeated,
    SentenceStart,
)

REACHES = (4, 16)
"""Numbers of tokens to look back for one of a kind."""


def classes() -> list[Condition]:
    """Every class of tokens that says something."""
    return [InClass(name) for name in CLASSES if name != "any"]


def places() -> list[Condition]:
    """Conditions on where a token stands that name no other token."""
    enclosures = [Inside(what) for what in get_args(Enclosure)]
    beginnings = [FirstTokens(n) for n in (1, 2, 4, 8, 16, 32)]
    indented = [Indented(n) for n in (1, 5, 9)]
    recurring = [Recurring(*between) for between in ((1, 1), (2, 2), (3, 3), (1, 8))]
    return [
        LineStart(),
        SentenceStart(),
        Repeated(),
        *recurring,
        Induced(),
        *beginnings,
        *indented,
        *enclosures,
    ]


def whereabouts() -> list[Condition]:
    """Where a token stands, and what kinds of tokens are near before it."""
    near = [Before(kind, 1, reach) for kind in classes() for reach in REACHES]
    return [*places(), *near]
