"""Tokens shaded by activation, as HTML; the page's style sheet gives the classes their colours."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from markupsafe import Markup

LEVELS = 9
"""Classes `s1` (faint) to `s9` (the feature's scale or more)."""

SIGNS = str.maketrans({"\n": "↵", "\t": "→", "\r": "␍"})
"""What stands for characters that cannot be seen."""


def shaded_tokens(tokens: Sequence[str], activations: Sequence[float], scale: float) -> Markup:
    """One line of text: each token that fires in a `<b>` with its activation as title.

    Line breaks and tabs are shown as signs, and so are spaces that fire.

    Args:
        tokens: surfaces.
        activations: one a token, in the SAE's units.
        scale: the activation that is shaded fully.
    """
    parts = [
        _token(token, activation, scale)
        for token, activation in zip(tokens, activations, strict=True)
    ]
    return Markup("".join(parts))


def unquoted(text: str) -> Markup:
    """Escape text for the inside of an element, where quotes need none; not for attributes."""
    return Markup(html.escape(text, quote=False))


def sentence(text: str) -> Markup:
    """The same of a sentence, in which no line ends between a quote and its token's space."""
    return unquoted(re.sub(r"(?<![^\s(])(['\"]) ", "\\1\N{NO-BREAK SPACE}", text))


def visible(token: str) -> str:
    """A token with line breaks and tabs as signs, and with dots for spaces if it has no other."""
    shown = token.translate(SIGNS)
    return shown if token.strip() else shown.replace(" ", "·")


def _token(token: str, activation: float, scale: float) -> str:
    """HTML, in which quotes need no escape; browsers show a run of spaces as one."""
    if activation <= 0 or scale <= 0:
        shown = token.translate(SIGNS)
        if "  " in shown:
            shown = re.sub("  +", " ", shown)
        return html.escape(shown, quote=False)
    level = max(1, min(LEVELS, round(LEVELS * activation / scale)))
    shown = html.escape(visible(token), quote=False)
    return f"<b class=s{level} title={activation:.3g}>{shown}</b>"
