"""Tokens shaded by activation, as HTML; the page's style sheet gives the classes their colours."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

LEVELS = 9
"""Classes `s1` (faint) to `s9` (the feature's scale or more)."""

_VISIBLE = str.maketrans({"\n": "↵", "\t": "→", "\r": "␍"})


def shaded_tokens(tokens: Sequence[str], activations: Sequence[float], scale: float) -> Markup:
    """One line of text: each token that fires in a `<b>` with its activation as title.

    Line breaks and tabs, and spaces that stand alone, are replaced by signs that can be seen.

    Args:
        tokens: surfaces.
        activations: one a token, in the SAE's units.
        scale: the activation that is shaded fully.
    """
    parts = [
        _token(token, activation, scale)
        for token, activation in zip(tokens, activations, strict=True)
    ]
    return Markup("").join(parts)


def visible(token: str) -> str:
    """A token with its white space made visible, but for one space before a word."""
    if token.strip(" "):
        return token.translate(_VISIBLE)
    return token.replace(" ", "·")


def _token(token: str, activation: float, scale: float) -> Markup:
    shown = escape(visible(token))
    if activation <= 0 or scale <= 0:
        return shown
    level = max(1, min(LEVELS, round(LEVELS * activation / scale)))
    return Markup("<b class=s{} title={}>{}</b>").format(level, f"{activation:.3g}", shown)
