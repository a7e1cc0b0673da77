"""What the data says of the feature: which tokens fire, after what, and which stay silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.llm_server.ideas import pieces
from tests.llm_server.reading import Mark, Passage, Sheet, passage
from tools.rules import fold

_SILENT_BANDS = ("random", "near_miss")
_FIRES_SELDOM = 0.05
STOCK = (
    "The old house near the river was sold in spring.",
    "We walked along the quiet road until noon.",
    "total = 0\nwhile total < 10:\n    total += 3\n",
    "A glass of water stood on the table, untouched.",
)
"""Ordinary texts, for when no silent ones are shown."""


@dataclass(frozen=True, slots=True)
class Site:
    """A token that fires, where it stands."""

    text: str
    mark: Mark
    others: tuple[Mark, ...]
    """The text's further marks."""

    @property
    def token(self) -> str:
        """The token itself."""
        return self.mark.token

    @property
    def before(self) -> str:
        """The text up to the token."""
        return self.text[: self.mark.start]

    @property
    def previous(self) -> str:
        """Roughly the token right before; empty at the start."""
        return (pieces(self.before) or [""])[-1]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The data, sorted."""

    strengths: Mapping[str, float]
    """Tokens that fire, the most important first, with what to expect of each in [0, 1]."""
    sites: tuple[Site, ...]
    """The peak of each exemplar that fires, the strongest first."""
    quiet: tuple[str, ...]
    """Texts that stay silent, near misses first; never empty."""
    silent_tokens: tuple[str, ...]
    """Tokens that stay silent, those easily mistaken for firing ones first."""


def knowledge(sheet: Sheet) -> Knowledge:
    """Sort what a request shows."""
    shown = [(row, passage(row.text.strip("…"))) for row in sheet.exemplars]
    firing = [text for row, text in shown if row.band not in _SILENT_BANDS]
    found = [_site(text) for text in firing if text.marks]
    sites = sorted([*found, *_table_sites(sheet)], key=_by_strength)
    still = [(row.band, text) for row, text in shown if row.band in _SILENT_BANDS]
    still.sort(key=lambda pair: pair[0] != "near_miss")
    quiet = tuple(text.text for _, text in still if not text.marks and text.text.strip()) or STOCK
    strengths = _strengths(sheet, sites)
    seldom = [row.token for row in sheet.tokens if row.fires <= _FIRES_SELDOM]
    silent = [*seldom, *_look_alikes(quiet, strengths)]
    return Knowledge(strengths, tuple(sites), quiet, tuple(dict.fromkeys(silent)))


def _site(text: Passage) -> Site:
    peak = text.peak
    assert peak is not None
    return Site(text.text, peak, tuple(m for m in text.marks if m != peak))


def _table_sites(sheet: Sheet) -> Iterator[Site]:
    for row in sheet.tokens:
        if row.token and row.on.endswith(row.token):
            start = len(row.on) - len(row.token)
            mark = Mark(row.token, round(10 * row.mean), start, len(row.on))
            yield Site(row.on, mark, ())


def _by_strength(site: Site) -> float:
    return -site.mark.tenths


def _strengths(sheet: Sheet, sites: list[Site]) -> dict[str, float]:
    """From the table; without one, from the marks."""
    table = [row for row in sheet.tokens if row.token and row.fires > _FIRES_SELDOM]
    if table:
        return {row.token: row.strength for row in table}
    marks = [mark for site in sites for mark in (site.mark, *site.others) if mark.token]
    counts = Counter(mark.token for mark in marks)
    totals: Counter[str] = Counter()
    for mark in marks:
        totals[mark.token] += mark.tenths
    return {t: min(1.0, totals[t] / counts[t] / 10) for t, _ in totals.most_common()}


def _look_alikes(quiet: tuple[str, ...], strengths: Mapping[str, float]) -> Iterator[str]:
    firing = {fold(token) for token in strengths}
    seen = Counter(piece for text in quiet for piece in pieces(text) if piece.strip())
    others = [piece for piece, _ in seen.most_common() if piece not in strengths]
    yield from (piece for piece in others if fold(piece) in firing)
    yield from (piece for piece in others if fold(piece) not in firing)
