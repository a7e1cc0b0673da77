"""Logit effects in the DuckDB file, so that a report needs no model."""

from __future__ import annotations

from collections.abc import Sequence

from tools.activations import LogitEffects, Subject, WritingSubject
from tools.database import Database, insert

TOKENS = 10
"""Kept of each end."""

LOGIT_DDL: tuple[str, ...] = (
    "CREATE TABLE IF NOT EXISTS logit_effects (subject VARCHAR, feature INTEGER, "
    "top_tokens VARCHAR[], top_logits FLOAT[], bottom_tokens VARCHAR[], bottom_logits FLOAT[])",
)
"""One row for each feature of a subject, named by its fingerprint; see `LogitEffects`."""


def keep_logit_effects(database: Database, subject: Subject, features: Sequence[int]) -> None:
    """Store what is not stored yet; nothing where the subject cannot tell."""
    if not isinstance(subject, WritingSubject):
        return
    fingerprint = subject.info.fingerprint
    query = "SELECT feature FROM logit_effects WHERE subject = ?"
    stored = {feature for (feature,) in database.rows(query, [fingerprint])}
    missing = [feature for feature in features if feature not in stored]
    effects = subject.logit_effects(missing, TOKENS)
    rows = [(fingerprint, item.feature, *_columns(item)) for item in effects]
    with database.transaction() as connection:
        insert(connection, "logit_effects", rows)


def stored_logit_effects(database: Database, subject: str, feature: int) -> LogitEffects | None:
    """Those of a feature of the subject with that fingerprint; None if none are stored."""
    rows = database.rows(
        "SELECT top_tokens, top_logits, bottom_tokens, bottom_logits FROM logit_effects "
        "WHERE subject = ? AND feature = ?",
        [subject, feature],
    )
    for top, top_logits, bottom, bottom_logits in rows:
        raised = tuple(zip(top, top_logits, strict=True))
        lowered = tuple(zip(bottom, bottom_logits, strict=True))
        return LogitEffects(feature, raised, lowered)
    return None


def _columns(effects: LogitEffects) -> tuple[list[str] | list[float], ...]:
    ends = (effects.top, effects.bottom)
    return tuple(
        column
        for end in ends
        for column in ([_storable(token) for token, _ in end], [logit for _, logit in end])
    )


def _storable(token: str) -> str:
    """With lone surrogates spelt out, which DuckDB would refuse."""
    return token.encode("utf-8", "backslashreplace").decode()
