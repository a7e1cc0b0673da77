"""The README's tables, from `results.json` alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.comparison_tables import table

BEGIN = "<!-- results: written by `make results` -->"
END = "<!-- end of results -->"

Row = Mapping[str, Any]

DEMO = "demo"
PLANTED = ("planted", "planted-sae")
COLUMNS: Mapping[str, str] = {
    "predictive_balanced": "predictive, balanced (r)",
    "predictive_sage": "predictive, SAGE's (r)",
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
    """What stands between the marks in the README."""
    demo = {(row["explainer"], row["metric"]): row for row in rows if row["subject"] == DEMO}
    explainers = [name for name in EXPLAINERS if (name, "predictive_balanced") in demo]
    body = [[name, *(_cell(demo.get((name, metric))) for metric in COLUMNS)] for name in explainers]
    shown = table(["", *COLUMNS.values()], body)
    return "\n".join([BEGIN, shown, "", *_sentences(demo, rows), END])


def with_block(readme: str, rows: Sequence[Row]) -> str:
    """The README with the block written anew.

    Raises:
        ValueError: the README lacks the marks.
    """
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(readme):
        raise ValueError(f"the README has no block from {BEGIN} to {END}.")
    return pattern.sub(lambda _: block(rows), readme)


def _sentences(demo: Mapping[tuple[str, str], Row], rows: Sequence[Row]) -> list[str]:
    lines: list[str] = []
    gain = demo.get(("agentic - one_shot", "predictive_balanced"))
    if gain is not None:
        lines.append(
            f"Predictive accuracy over one-shot, paired: {gain['value']:+.3f} {_interval(gain)} "
            f"on {gain['n']} features."
        )
    for subject in PLANTED:
        shares = [
            f"{row['explainer']} {row['value']:.0%} of {row['n']}"
            for row in rows
            if row["subject"] == subject and row["metric"] == "recovered"
        ]
        if shares:
            lines.append(f"Meanings recovered (F1 >= 0.95), {subject}: {', '.join(shares)}.")
    return lines


def _cell(row: Row | None) -> str:
    return "-" if row is None or row["value"] is None else f"{row['value']:.2f}"


def _interval(row: Row) -> str:
    return f"[{row['low']:+.3f}, {row['high']:+.3f}]" if row["low"] is not None else ""
