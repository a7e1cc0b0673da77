"""A regression tree over tokens and their context: divide what pays most, until nothing pays.

Best-first growth (Shi, 2007, Best-first decision tree learning) with sets of values ordered as in
Breiman et al. (1984, section 4.2); a division must take away error on documents that it was not
learned from, and more of it the more there is to say.
"""

from __future__ import annotations

import heapq
from itertools import count

import numpy as np

from graphs.policies.symbolic.branches import listed
from graphs.policies.symbolic.divisions import Division, Divisions
from graphs.policies.symbolic.saying import as_branches
from graphs.policies.symbolic.tallies import Sums, mean_of, weight_of
from graphs.policies.symbolic.tree import Node
from tools.rules import Condition, TokenIn

PRIOR = 1.0
"""What the mean of the whole counts for in the mean of a part, in tokens."""
MOST_LEAVES = 16
GRADE = 0.12
"""Tokens of a list are told apart if their strengths differ by about so much."""
MOST_LISTED = 40
"""Most tokens that a tree names."""


def grow(divisions: Divisions, leaves: int = MOST_LEAVES) -> Node:
    """The tree of the divisions that pay.

    Args:
        divisions: finds them.
        leaves: most parts.
    """
    here, tally = divisions.tallies.everything
    root = Node(here, tally, float(mean_of(tally.total)))
    queue: list[tuple[float, int, Node, Division]] = []
    order, n_leaves, explained = count(), 1, 0.0

    def consider(node: Node, division: Division | None) -> None:
        if division is not None and (worth := division.worth(explained)) > 0:
            heapq.heappush(queue, (-worth, next(order), node, division))

    consider(root, divisions.best(root.here, tally, 0, 0.0))
    while queue and n_leaves < leaves:
        _, _, node, division = heapq.heappop(queue)
        if queue and division.worth(explained) < -queue[0][0]:
            # It was considered when less was explained; the others will be looked at anew too.
            consider(node, division)
            continue
        _divide(node, division.make(), divisions)
        if _undo_if_too_long(node, root):
            continue
        n_leaves += 1
        explained += division.gain
        for part in node.parts:
            consider(part, divisions.best(part.here, part.tally, part.listed, explained))
    for leaf in list(root.leaves()):
        _grade(leaf, divisions)
        _undo_if_too_long(leaf, root)
    return root


def _undo_if_too_long(node: Node, root: Node) -> bool:
    """Take a division back if the tree names too many tokens with it; whether that was done."""
    if listed(as_branches(root)) <= MOST_LISTED:
        return False
    node.condition, node.parts = None, ()
    return True


def _grade(leaf: Node, divisions: Divisions) -> None:
    """Divide listed tokens by how loud each is, which makes the list no longer."""
    vocabulary = divisions.tallies.evidence.windows.vocabulary
    if not leaf.listed:
        return
    grades: dict[int, list[str]] = {}
    for code in np.flatnonzero(weight_of(leaf.tally.own)).tolist():
        strength = _strength(leaf.tally.own[code], leaf.strength)
        grades.setdefault(round(strength / GRADE), []).append(vocabulary[code])
    for grade in sorted(grades, reverse=True)[:-1]:
        _divide(leaf, TokenIn(tuple(grades[grade])), divisions)
        leaf = leaf.parts[1]


def _divide(node: Node, condition: Condition, divisions: Divisions) -> None:
    tallies = divisions.tallies
    held = condition.mask(tallies.evidence.windows)[node.here]
    sides = node.here[held], node.here[~held]
    fewer = int(len(sides[1]) < len(sides[0]))
    counted = tallies.of(sides[fewer])
    both = (counted, node.tally.without(counted))
    found = [both[0], both[1]] if fewer == 0 else [both[1], both[0]]
    named = node.listed
    if isinstance(condition, TokenIn) and not condition.folded:
        named = len(condition.tokens)
    node.condition = condition
    node.parts = tuple(
        Node(side, tally, _strength(tally.total, node.strength), listed)
        for side, tally, listed in zip(sides, found, (named, node.listed), strict=True)
    )


def _strength(sums: Sums, whole: float) -> float:
    """Mean activation, drawn towards that of the whole where there is little to go by."""
    weight = float(weight_of(sums))
    return (weight * float(mean_of(sums)) + PRIOR * whole) / (weight + PRIOR)
