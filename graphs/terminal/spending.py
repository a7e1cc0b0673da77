"""What language-model calls used up, in words; a sum with an unknown part is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
"""A feature as `Findings` gives it."""
UNKNOWN = "?"


def spending(rows: Sequence[Row]) -> str:
    """Calls, tokens and cost of some features."""
    cost = dollars(rows)
    paid = "cost unknown" if cost == UNKNOWN else f"${cost}"
    number = calls(rows)
    return f"{number} call{'' if number == '1' else 's'}, {tokens(rows)} tokens, {paid}"


def calls(rows: Sequence[Row]) -> str:
    """Requests that were answered and paid."""
    return f"{sum(row['llm_calls'] for row in rows):,}"


def tokens(rows: Sequence[Row]) -> str:
    """Input and output tokens together."""
    counts = [row[key] for row in rows if row["llm_calls"] for key in ("tokens_in", "tokens_out")]
    return UNKNOWN if None in counts else f"{sum(counts):,}"


def dollars(rows: Sequence[Row]) -> str:
    """The cost in US dollars."""
    costs = [row["cost"] for row in rows if row["llm_calls"]]
    return UNKNOWN if None in costs else f"{sum(costs):.4g}"
