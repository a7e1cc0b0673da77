"""Data for a prompt: one JSON object a line, so escaped that no text can leave its block."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]

_DANGEROUS = re.compile(r"<|\[(?=/?[A-Z_]+\])|[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What could close a block, be read as a token of a chat template or end a line, and what UTF-8
cannot write."""


def line_of(value: object) -> str:
    """A value as one line of JSON that reads back as the same value."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _DANGEROUS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


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
