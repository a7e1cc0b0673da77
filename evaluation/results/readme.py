"""The README's tables, from `results.json` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation import readme_blocks
from evaluation.comparison.tables import table
from evaluation.results.goals import reached

BLOCK = ("results", "make results")

Row = Mapping[str, Any]

DEMO = "demo"
BALANCED = "predictive_balanced"
BEATEN = ("one_shot", "untested", "bigram_table")
"""Whose paired differences are told."""
PLANTED = ("planted", "planted-sae")
ABLATED = "planted, "
"""What the names of ablations begin with."""
COLUMNS: Mapping[str, str] = {
    "predictive_balanced": "predictive, balanced (r) [95 %]",
    "predictive_sage": "SAGE's (r)",
    "generative": "generative",
    "generative_negatives": "its negatives",
    "detection": "detection",
    "fuzzing": "fuzzing",
    "saebench_measured": "SAEBench, measured",
    "fade_purity": "FADE purity",
}
"""Metrics of the table and their headings."""
EXPLAINERS = (
    *("agentic", "untested", "one_shot", "max_token", "shuffled"),
    *("unigram_table", "bigram_table"),
)


def block(rows: Sequence[Row]) -> str:
    """The README's part with its marks."""
    return readme_blocks.block(*BLOCK, _body(rows))


def _body(rows: Sequence[Row]) -> str:
    demo = {(row["explainer"], row["metric"]): row for row in rows if row["subject"] == DEMO}
    explainers = [name for name in EXPLAINERS if (name, "predictive_balanced") in demo]
    body = [
        [name, *(_cell(demo.get((name, metric)), metric) for metric in COLUMNS)]
        for name in explainers
    ]
    shown = table(["", *COLUMNS.values()], body)
    held = table(["held to", "reached [95 %]", "n", "target", "met"], reached(rows))
    return "\n".join([shown, "", " ".join(_sentences(demo, rows)), "", held])


def with_block(readme: str, rows: Sequence[Row]) -> str:
    """The README with the block written anew.

    Raises:
        ValueError: the README lacks the marks.
    """
    return readme_blocks.with_block(readme, *BLOCK, _body(rows))


def _sentences(demo: Mapping[tuple[str, str], Row], rows: Sequence[Row]) -> list[str]:
    lines: list[str] = []
    gains = [(name, demo.get((f"agentic - {name}", BALANCED))) for name in BEATEN]
    told = [f"{name} {row['value']:+.3f} {_interval(row)}" for name, row in gains if row]
    n_features = max((row["n"] for _, row in gains if row), default=0)
    if told:
        lines.append(
            f"{n_features} features, no language model asked. What `agentic` has over the others "
            f"in predictive accuracy, paired: {', '.join(told)}."
        )
    for subject in PLANTED:
        shares = [
            f"{row['explainer']} {row['value']:.0%} of {row['n']}"
            for row in rows
            if row["subject"] == subject and row["metric"] == "recovered"
        ]
        if shares:
            lines.append(f"Meanings recovered (F1 >= 0.95), {subject}: {', '.join(shares)}.")
    parts = [
        f"{row['value']:.0%} with {row['subject'].removeprefix(ABLATED)}"
        for row in rows
        if row["subject"].startswith(ABLATED)
        and (row["explainer"], row["metric"]) == ("agentic", "recovered")
    ]
    if parts:
        lines.append(f"What experiments contribute: {', '.join(parts)} instead of all, planted.")
    return lines


def _cell(row: Row | None, metric: str) -> str:
    if row is None or row["value"] is None:
        return "-"
    told = metric == BALANCED and row["low"] is not None
    ends = f" [{row['low']:.2f}, {row['high']:.2f}]" if told else ""
    return f"{row['value']:.2f}{ends}"


def _interval(row: Row) -> str:
    return f"[{row['low']:+.3f}, {row['high']:+.3f}]" if row["low"] is not None else ""
