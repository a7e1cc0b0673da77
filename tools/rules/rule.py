"""Rules: conditions with strengths, executable, serialisable and readable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.errors import RuleError
from tools.rules import fields
from tools.rules.condition import Condition, condition_from_json
from tools.rules.sentence import MOST_WORDS, sentence
from tools.rules.windows import Windows


@dataclass(frozen=True, slots=True)
class Branch:
    """One way for a token to be active."""

    condition: Condition
    """When."""
    strength: float
    """How strongly, as a share of the feature's scale, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A disjunction of branches: a token is as active as the strongest branch that holds."""

    branches: tuple[Branch, ...]
    """Strongest first; two rules are equal when their branches are."""

    def __post_init__(self) -> None:
        if not self.branches:
            raise RuleError("A rule needs at least one branch.")
        ordered = sorted(self.branches, key=lambda branch: -branch.strength)
        object.__setattr__(self, "branches", tuple(ordered))

    def predict(self, tokens: Sequence[str]) -> NDArray[np.float32]:
        """Predicted activation of each token of one text, in [0, 1]; shape (n_tokens,)."""
        return self.predict_windows(Windows.of([tokens]))

    def predict_windows(self, windows: Windows) -> NDArray[np.float32]:
        """Predicted activation of each token of `windows`, in [0, 1]; shape (n_tokens,)."""
        predicted = np.zeros(len(windows), dtype=np.float32)
        for branch in reversed(self.branches):
            # The strongest has the last word.
            np.copyto(predicted, np.float32(branch.strength), where=branch.condition.mask(windows))
        return predicted

    @property
    def strength(self) -> float:
        """Strength of its strongest branch."""
        return self.branches[0].strength

    @property
    def complexity(self) -> int:
        """How much there is to say: conditions plus listed tokens."""
        return sum(branch.condition.complexity for branch in self.branches)

    def sentence(self, shares: Sequence[float] | None = None, most_words: int = MOST_WORDS) -> str:
        """What it fires on, to follow `fires on`: see `tools.rules.sentence`.

        Args:
            shares: of the feature's activation, one for each branch, if they are known.
            most_words: 10 at least.
        """
        branches = [(branch.condition, branch.strength) for branch in self.branches]
        return sentence(branches, shares, most_words)

    def to_json(self) -> dict[str, Any]:
        """The rule as a JSON object, which `rule_from_json` reads."""
        return {
            "branches": [
                {"when": branch.condition.to_json(), "strength": branch.strength}
                for branch in self.branches
            ]
        }


def rule_from_json(data: object) -> Rule:
    """The rule that `data` describes.

    Raises:
        RuleError: `data` is malformed or names an unknown kind of condition.
    """
    content = fields.mapping(data, "A rule")
    fields.closed(content, ("branches",), "A rule")
    return Rule(tuple(map(_branch, fields.sequence(content, "branches", "A rule"))))


def _branch(data: object) -> Branch:
    content = fields.mapping(data, "A branch")
    fields.closed(content, ("when", "strength"), "A branch")
    strength = fields.fraction(content, "strength", "A branch")
    return Branch(condition_from_json(content.get("when")), strength)
