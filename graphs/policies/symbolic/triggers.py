"""The tokens that carry a feature's activation, with strengths counted over the propose split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphs.policies.protocols import Dossier
from graphs.policies.symbolic.evidence import PRICE, Evidence
from graphs.policies.symbolic.induction import rounded
from tools.exemplars import TokenStatistic
from tools.rules import Branch, TokenIn

MOST_TOKENS = 24
"""Most tokens a rule lists for what the token itself is."""
LEVELS = 6
"""Strengths that a token set is divided into."""


def token_branches(dossier: Dossier, evidence: Evidence) -> list[Branch]:
    """The tokens that carry most activation, in sets of about equal strength."""
    scale = dossier.statistics.scale or 1.0
    strengths = {row.token: row.mean_activation / scale for row in telling_rows(dossier)}
    strengths = strengths or _from_windows(evidence)
    top = max(strengths.values(), default=0.0)
    edges = [top * level / LEVELS for level in range(LEVELS, -1, -1)]
    branches: list[Branch] = []
    for upper, lower in zip(edges, edges[1:], strict=False):
        level = [t for t, s in strengths.items() if lower < s <= upper]
        if level:
            mean = sum(strengths[token] for token in level) / len(level)
            branches.append(Branch(TokenIn(tuple(level)), rounded(mean)))
    return branches


def telling_rows(dossier: Dossier) -> list[TokenStatistic]:
    """Rows whose token says most: squared activation that its mean accounts for."""

    def explains(row: TokenStatistic) -> float:
        return row.n_present * row.mean_activation**2

    rows = sorted(dossier.token_table, key=lambda row: (-explains(row), row.token_id))
    least = PRICE * sum(map(explains, rows))
    return [row for row in rows if explains(row) >= least > 0][:MOST_TOKENS]


def _from_windows(evidence: Evidence) -> dict[str, float]:
    """Strengths by token from the windows alone, for a table that is empty."""
    size = len(evidence.windows.vocabulary)
    weight = np.bincount(evidence.windows.codes, evidence.weight, size)
    total = np.bincount(evidence.windows.codes, evidence.weight * evidence.target, size)
    order = np.argsort(-total, kind="stable")[:MOST_TOKENS]
    return {
        evidence.windows.vocabulary[code]: float(total[code] / weight[code])
        for code in map(int, order)
        if total[code] > 0
    }


def single_tokens(dossier: Dossier) -> Iterator[Branch]:
    """Each telling token alone."""
    scale = dossier.statistics.scale or 1.0
    for row in telling_rows(dossier):
        yield Branch(TokenIn((row.token,)), rounded(row.mean_activation / scale))
