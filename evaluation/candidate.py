"""What is scored: one explanation of one feature, whoever made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tools.llm.costs import NOTHING_SPENT, Spent
from tools.rules import Windows


class Predictor(Protocol):
    """Says of each token how strongly the feature fires on it; a `tools.rules.Rule` is one."""

    def predict_windows(self, windows: Windows) -> NDArray[np.float32]:
        """Predicted activations as shares of the feature's scale, in [0, 1]; shape (n_tokens,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An explanation that is to be scored, as every judge gets it.

    All explainers give the same: one description and, where they can, something executable. Labels
    and evidence, which only some have, are shown to nobody.
    """

    explainer: str
    """`agentic`, a baseline's name, or `file:<name>`."""
    feature: int
    """The feature that it is scored on."""
    description: str | None
    """What a language model is shown; None for what has no words, such as a token table."""
    predictor: Predictor | None
    """What judge `rule` executes; None if the explanation carries nothing executable."""
    content: Mapping[str, Any]
    """JSON that tells it from other explanations, such as its rule."""
    missing: str = ""
    """Why there is no explanation to be scored; empty if there is one."""
    may_come: bool = False
    """Whether one that is missing may be had another time: a server failed, or a budget."""
    spent: Spent = NOTHING_SPENT
    """What making it took."""

    @property
    def digest(self) -> str:
        """Hash of what is scored: an equal one has equal scores."""
        told = [self.explainer, self.feature, self.description, dict(self.content), self.missing]
        text = json.dumps(told, sort_keys=True, ensure_ascii=False)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
