"""Data for a prompt: one JSON object a line, so escaped that no text can leave its block."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tools.llm.escaping import escaped

Row = Mapping[str, Any]


def line_of(value: object) -> str:
    """A value as one line of JSON that reads back as the same value."""
    return escaped(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def data_block(name: str, rows: Iterable[Row]) -> str:
    """Rows as a block that a prompt can name."""
    lines = "".join(f"{line_of(row)}\n" for row in rows)
    return f'<data name="{name}">\n{lines}</data>'


def fitting(rows: Iterable[Row], most: int) -> list[Row]:
    """The first rows whose lines have at most `most` characters together."""
    kept: list[Row] = []
    for row in rows:
        most -= len(line_of(row)) + 1
        if most < 0:
            break
        kept.append(row)
    return kept
