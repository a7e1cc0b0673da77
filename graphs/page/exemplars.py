"""What the harvest kept of a feature: exemplars by group, and the histogram of activations."""

from __future__ import annotations

from collections.abc import Sequence

from graphs.page.records import ExemplarGroup, Histogram, Passage
from tools.database import Database
from tools.exemplars import Band, Exemplar
from tools.harvest.stored import StoredExemplars

BEFORE, AFTER = 16, 10
"""Tokens shown on either side of the strongest one."""

_SHOWN: dict[Band, tuple[str, int]] = {
    "top": ("Top activations", 10),
    "quantile_4": ("Strongest quarter of the rest", 3),
    "quantile_3": ("Second quarter", 3),
    "quantile_2": ("Third quarter", 3),
    "quantile_1": ("Weakest quarter", 3),
    "near_miss": ("Near misses: silent, though its usual tokens are there", 4),
}
"""Title, and how many are shown."""


def exemplar_groups(source: StoredExemplars, feature: int) -> tuple[ExemplarGroup, ...]:
    """The groups that have any, of the propose split: what hypotheses were drawn from."""
    found: dict[Band, list[Exemplar]] = {}
    for exemplar in source.exemplars(feature, "propose"):
        found.setdefault(exemplar.band, []).append(exemplar)
    usual = _usual_tokens(source, feature)
    return tuple(
        ExemplarGroup(title, tuple(_passage(each, usual) for each in found[band][:most]))
        for band, (title, most) in _SHOWN.items()
        if band in found
    )


def histogram(database: Database, harvest: str, feature: int) -> Histogram | None:
    """The stored histogram; None if there is none."""
    rows = database.rows(
        "SELECT highest, counts FROM feature_histograms WHERE harvest = ? AND feature = ?",
        [harvest, feature],
    )
    return Histogram(rows[0][0], tuple(rows[0][1])) if rows else None


def _usual_tokens(source: StoredExemplars, feature: int) -> frozenset[int]:
    return frozenset(row.token_id for row in source.token_table(feature)[:8])


def _passage(exemplar: Exemplar, usual: frozenset[int]) -> Passage:
    middle = _middle(exemplar, usual)
    begin, end = max(0, middle - BEFORE), min(len(exemplar.tokens), middle + AFTER + 1)
    return Passage(
        tokens=exemplar.tokens[begin:end],
        activations=tuple(exemplar.activations[begin:end].tolist()),
        max_activation=exemplar.max_activation,
        cut_before=begin > 0,
        cut_after=end < len(exemplar.tokens),
    )


def _middle(exemplar: Exemplar, usual: frozenset[int]) -> int:
    """The peak; in a silent window the first token on which the feature usually fires."""
    if exemplar.max_activation > 0:
        return exemplar.peak
    return _first(exemplar.token_ids, usual)


def _first(token_ids: Sequence[int], wanted: frozenset[int]) -> int:
    return next((place for place, token in enumerate(token_ids) if token in wanted), BEFORE)
