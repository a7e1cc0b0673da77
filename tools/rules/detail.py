"""How much of a condition is said: less and less, until a sentence is short enough to read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Detail:
    """Limits of what is said in words, and how alternatives are joined."""

    listed: int = 6
    """Tokens that are listed; longer lists are summed up, with half as many examples."""
    deep: int = 3
    """Levels of conditions on other tokens that are said."""
    joined: int = 4
    """Parts of a conjunction that are said."""
    joint: Literal["and", "or"] = "and"
    """`or` where one of several tokens is meant."""

    def inner(self) -> Detail:
        """For a condition on another token, or one that is an exception."""
        return replace(self, deep=self.deep - 1, joint="or")


FULL = Detail()
DETAILS = (
    Detail(listed=8),
    FULL,
    Detail(listed=4),
    Detail(listed=2, deep=2, joined=3),
    Detail(listed=2, deep=1, joined=2),
    Detail(listed=0, deep=1, joined=2),
    Detail(listed=0, deep=0, joined=1),
)
"""The fullest first."""
