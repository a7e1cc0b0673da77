"""Texts that others wrote, so escaped that a chat template reads no token of its own in them."""

from __future__ import annotations

import re

_DANGEROUS = re.compile(
    r"<|\[(?=/?[A-Z_]+\])|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
)
"""What could close a block, be read as a token of a chat template or end a line, and what UTF-8
cannot write; but for tabs and newlines, which JSON may have between its values."""


def escaped(text: str) -> str:
    """The text with each dangerous character as JSON escapes it: JSON keeps its meaning."""
    return _DANGEROUS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
