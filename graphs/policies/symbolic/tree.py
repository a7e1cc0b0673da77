"""Parts of a body of evidence, divided again and again by conditions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from graphs.policies.symbolic.tallies import Tally
from tools.rules import Condition


@dataclass(eq=False)
class Node:
    """Tokens that meet all conditions of a path, and their mean activation."""

    here: NDArray[np.intp]
    tally: Tally
    strength: float
    listed: int = 0
    """Tokens that a path names, of which these are some; 0 if it names none."""
    condition: Condition | None = None
    """What divides it; None for a leaf."""
    parts: tuple[Node, ...] = field(default=())
    """Where the condition holds, and where it does not."""

    def leaves(self) -> Iterator[Node]:
        """Its undivided parts."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()
