"""Scores of explanations, where `saesage evaluate` has been run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from graphs.page.overview import ScoreCell
from graphs.page.records import WrittenText
from tools.database import Database

HEADLINES: dict[str, str] = {
    "predictive_balanced": "predictive",
    "generative": "generative",
    "detection": "detection",
    "fuzzing": "fuzzing",
    "saebench_measured": "SAEBench, measured",
    "fade_purity": "FADE purity",
    "recovered_f1": "recovered",
}
"""Metrics that an overview compares, higher is better, with the names that it gives them."""

Headlines = dict[str, dict[str, ScoreCell]]
"""By metric and explainer."""

AGENTIC = "agentic"
"""What the tables call the investigation's own explanation."""

_WANTED = {"generative": "active", "generative_negatives": "inactive"}


def is_evaluated(database: Database) -> bool:
    """Whether the file has the tables of scores."""
    query = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'scores' AND NOT internal"
    return database.rows(query) != [(0,)]


def scores(database: Database, run: str, feature: int) -> list[ScoreCell]:
    """All scores of one feature, in a file that was evaluated."""
    return [cell for _, _, cell in _rows(database, "run = ? AND feature = ?", [run, feature])]


def scores_of_runs(
    database: Database, runs: Iterable[str]
) -> tuple[str | None, dict[tuple[str, int], Headlines]]:
    """The judge that gave most scores of some runs, and its headlines by run and feature."""
    if not is_evaluated(database):
        return None, {}
    found = _rows(
        database,
        "list_contains(?, run) AND list_contains(?, metric)",
        [list(runs), list(HEADLINES)],
    )
    cells: dict[tuple[str, int], list[ScoreCell]] = {}
    for run, feature, cell in found:
        cells.setdefault((run, feature), []).append(cell)
    judge = _main_judge(cell for _, _, cell in found)
    return judge, {key: headlines(own, judge) for key, own in cells.items()}


def headlines(cells: Iterable[ScoreCell], judge: str | None = None) -> Headlines:
    """The headline scores by metric and explainer; of the judge who gave most if none is named."""
    listed = list(cells)
    judge = judge or _main_judge(listed)
    found: dict[str, dict[str, ScoreCell]] = {}
    for cell in listed:
        if cell.judge == judge and cell.metric in HEADLINES:
            found.setdefault(cell.metric, {})[cell.explainer] = cell
    return found


def _main_judge(cells: Iterable[ScoreCell]) -> str | None:
    counts = Counter(cell.judge for cell in cells)
    return counts.most_common(1)[0][0] if counts else None


def metrics_of(found: Iterable[Headlines]) -> tuple[str, ...]:
    """The headline metrics that any feature has, in order."""
    there = {metric for by_metric in found for metric in by_metric}
    return tuple(metric for metric in HEADLINES if metric in there)


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """The scores that one judge gave a feature."""

    judge: str
    explainers: tuple[str, ...]
    """The columns, the investigation first."""
    rows: tuple[tuple[str, tuple[ScoreCell | None, ...]], ...]
    """A metric with a cell for each column."""


def score_tables(cells: Iterable[ScoreCell]) -> tuple[ScoreTable, ...]:
    """The scores of one feature, a table for each judge."""
    judges: dict[str, dict[tuple[str, str], ScoreCell]] = {}
    for cell in cells:
        judges.setdefault(cell.judge, {})[cell.metric, cell.explainer] = cell
    return tuple(_score_table(judge, found) for judge, found in judges.items())


def _score_table(judge: str, cells: dict[tuple[str, str], ScoreCell]) -> ScoreTable:
    metrics = dict.fromkeys(metric for metric, _ in cells)
    explainers = sorted({name for _, name in cells}, key=lambda name: (name != AGENTIC, name))
    rows = ((metric, tuple(cells.get((metric, name)) for name in explainers)) for metric in metrics)
    return ScoreTable(judge, tuple(explainers), tuple(rows))


def written_texts(database: Database, run: str, feature: int) -> tuple[WrittenText, ...]:
    """What judges wrote from the investigation's explanation, to see whether it fires."""
    rows = database.rows(
        "SELECT metric, details FROM scores WHERE run = ? AND feature = ? AND explainer = ? "
        "AND metric IN (SELECT unnest(?)) ORDER BY metric, judge",
        [run, feature, AGENTIC, list(_WANTED)],
    )
    return tuple(
        WrittenText(_WANTED[metric], text["text"], text["max"], text["normalized"])
        for metric, details in rows
        for text in json.loads(details).get("texts", [])
    )


def _rows(
    database: Database, where: str, values: Sequence[Any]
) -> list[tuple[str, int, ScoreCell]]:
    rows = database.rows(
        "SELECT run, feature, metric, judge || coalesce(' ' || model, ''), explainer, value, "
        f"reason, low, high, n, floor FROM scores WHERE {where} ORDER BY judge, metric, explainer",
        values,
    )
    return [(run, feature, ScoreCell(*cell)) for run, feature, *cell in rows]
