"""Tokens in words: whitespace made visible, long lists cut short."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

DEPTHS = 6
"""Depths of indentation that are told apart."""

LONGEST = 24
"""Characters of a token that are shown."""

_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}
_BLANKS = {"\n": ("line break", "line breaks"), "\t": ("tab", "tabs"), " ": ("space", "spaces")}


@lru_cache(maxsize=65_536)
def visible(token: str) -> str:
    """A token as a reader can see it: quoted, or named when it is whitespace only."""
    if token == "":
        return "an empty token"
    if not token.strip("\n"):
        # Others hold a line break too: most tokenizers join it with the indentation behind it.
        return count(len(token), "bare line break")
    if token.isspace():
        return _blank(token)
    if not token.strip(" \ufffd"):
        return f"undecodable bytes{' after a space' if token[0] == ' ' else ''}"
    body = token if len(token) <= LONGEST else f"{token[:LONGEST]}\u2026"
    body = body if body.isprintable() else "".join(map(_escaped, body))
    return f'"{body}"' if "'" in body else f"'{body}'"


def listing(items: Sequence[str], joint: str = "and", limit: int | None = None) -> str:
    """`a, b and c`; beyond `limit` items the first few and how many more there are."""
    if limit is not None and len(items) > limit:
        shown = items[: limit - 2]
        return f"{', '.join(shown)} and {len(items) - len(shown)} more like these"
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])}{joint if joint.startswith(',') else f' {joint}'} {items[-1]}"


def spelled(tokens: Sequence[str]) -> list[str]:
    """Each token as it is shown; line breaks that differ in their indentation only are joined."""
    depths: dict[str, list[int]] = {}
    for token in tokens:
        if token.startswith("\n") and not token.strip("\n "):
            breaks = token.rstrip(" ")
            depths.setdefault(breaks, []).append(len(token) - len(breaks))
    joined = {breaks: found for breaks, found in depths.items() if len(found) > 1}
    items = [visible(token) for token in tokens if token.rstrip(" ") not in joined]
    for breaks, found in joined.items():
        numbers = [str(depth) for depth in sorted(found)]
        if len(numbers) > DEPTHS:
            numbers = [*numbers[: DEPTHS - 2], "other numbers of"]
        items.append(f"{_blank(breaks)} with {listing(numbers, 'or')} spaces")
    return items


def numeral(of: int) -> str:
    """`two`, `12`."""
    return _NUMBERS.get(of, str(of))


def count(of: int, singular: str, plural: str | None = None) -> str:
    """`a line`, `two lines`, `12 lines`."""
    return f"a {singular}" if of == 1 else f"{numeral(of)} {plural or f'{singular}s'}"


def reach(nearest: int, farthest: int) -> str:
    """How far behind something a token stands, to go before it: `within four tokens after`."""
    if farthest == 1:
        return "right after"
    if nearest == farthest:
        return f"{count(farthest, 'token')} after"
    if nearest == 1:
        return f"within {count(farthest, 'token')} after"
    return f"between {nearest} and {farthest} tokens after"


def _escaped(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")


def _blank(token: str) -> str:
    """Whitespace by name: `a line break with four spaces`."""
    runs: list[tuple[str, int]] = []
    for char in token:
        if runs and runs[-1][0] == char:
            runs[-1] = (char, runs[-1][1] + 1)
        else:
            runs.append((char, 1))
    names = [count(n, *_BLANKS.get(char, (f"U+{ord(char):04X}", None))) for char, n in runs]
    return " with ".join([names[0], listing(names[1:])]) if len(names) > 1 else names[0]
