"""Tokens shaded by activation; in brackets where there is no colour."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from graphs.page.shading import SIGNS

_DARK = (24, 24, 24)
_BRIGHT = (46, 204, 113)


def shaded(
    tokens: Sequence[str], activations: Sequence[float], scale: float, console: Console
) -> Text:
    """One line of tokens, each as bright as its activation is strong relative to `scale`.

    Without colour, tokens above a tenth of the scale stand in brackets with their share of it.
    """
    line = Text()
    for token, activation in zip(tokens, activations, strict=True):
        strength = min(max(activation / scale, 0.0), 1.0) if scale > 0 else 0.0
        line.append_text(_token(token.translate(SIGNS), strength, console))
    return line


def _token(token: str, strength: float, console: Console) -> Text:
    if strength < 0.1:
        return Text(token)
    if console.color_system is None:
        return Text(f"[{token}|{strength:.1f}]")
    red, green, blue = (
        round(dark + strength * (bright - dark))
        for dark, bright in zip(_DARK, _BRIGHT, strict=True)
    )
    ink = "black" if strength > 0.5 else "white"
    return Text(token, style=f"{ink} on #{red:02x}{green:02x}{blue:02x}")
