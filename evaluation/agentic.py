"""The explanations that a run itself came to, as candidates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from evaluation.candidate import Candidate
from graphs.config import ROLES
from graphs.findings import Findings
from graphs.runs import Run
from tools.database import Database
from tools.errors import NothingToScore
from tools.llm.costs import NOTHING_SPENT, Spent
from tools.rules import rule_from_json

AGENTIC = "agentic"
"""Who made the explanations of the investigation itself."""

_UNKNOWN = Spent(0, None, None, None)
"""A language model was asked, and the replies were another run's, so that this one paid nothing."""
_REASONS = {
    "dead": "the feature never fires on the corpus",
    "too_rare": "the feature fires too seldom on the corpus to be explained",
    "pending": "the feature is not explained yet; `saesage resume` goes on with the run",
    "running": "the feature is not explained yet; `saesage resume` goes on with the run",
    "budget": "a budget ran out before an explanation was worded",
}


def agentic_candidates(database: Database, run: Run) -> dict[int, Candidate]:
    """The explanation of each feature of a run, or why it has none, in the run's order.

    What making it took is what the run paid for: replies that an earlier run had paid for are not
    counted, and where all were such, the cost is unknown.

    Raises:
        NothingToScore: the run holds no explanation.
    """
    asks = _asks(run, *ROLES)
    rows = Findings(database).features(run)
    candidates = {row["feature"]: _candidate(row, asks=asks) for row in rows}
    if all(candidate.missing for candidate in candidates.values()):
        raise NothingToScore(
            f"run {run.name} holds no explanation that could be scored; make some with "
            "`saesage explain`, or finish the run with `saesage resume`."
        )
    return candidates


def proposing_spent(database: Database, run: Run) -> dict[int, Spent]:
    """What the calls took that proposed each feature's first hypotheses.

    Unknown where a language model may have proposed them and the run paid for no such call.
    """
    rows = database.records(
        "SELECT feature, count(*) AS calls, "
        "CASE WHEN bool_and(tokens_in IS NOT NULL) THEN sum(tokens_in)::BIGINT END AS tokens_in, "
        "CASE WHEN bool_and(tokens_out IS NOT NULL) THEN sum(tokens_out)::BIGINT END AS tokens_out,"
        " CASE WHEN bool_and(cost IS NOT NULL) THEN sum(cost) END AS cost FROM llm_calls "
        "WHERE run = ? AND role = 'explainer' AND error IS NULL GROUP BY feature",
        [run.name],
    )
    paid = {row.pop("feature"): Spent(**row) for row in rows}
    unpaid = _UNKNOWN if _asks(run, "generate_hypotheses") else NOTHING_SPENT
    features = [row["feature"] for row in Findings(database).features(run)]
    return {feature: paid.get(feature, unpaid) for feature in features}


def _asks(run: Run, *roles: str) -> bool:
    """Whether a policy of these roles may have asked a language model."""
    policies = map(run.config.policy_of, roles)
    return run.config.llm is not None and any(policy != "symbolic" for policy in policies)


def _candidate(row: Mapping[str, Any], *, asks: bool) -> Candidate:
    missing = _why_missing(row)
    stored = None if missing or row["rule"] is None else json.loads(row["rule"])
    return Candidate(
        explainer=AGENTIC,
        feature=row["feature"],
        description=None if missing else row["description"],
        predictor=None if stored is None else rule_from_json(stored),
        content={} if missing else {"rule": stored},
        missing=missing,
        spent=_spent(row, asks=asks),
    )


def _why_missing(row: Mapping[str, Any]) -> str:
    status = row["status"]
    if (row["description"] or "").strip():
        return ""
    if status == "failed":
        return f"explaining the feature failed: {row['failure']}"
    return _REASONS.get(status, f"no explanation was worded; the feature ended as {status}")


def _spent(row: Mapping[str, Any], *, asks: bool) -> Spent:
    if row["llm_calls"]:
        return Spent(row["llm_calls"], row["tokens_in"], row["tokens_out"], row["cost"])
    begun = row["status"] not in ("dead", "too_rare", "pending")
    return _UNKNOWN if asks and begun else NOTHING_SPENT
