"""Tokens in words: whitespace made visible, long lists cut short."""

from __future__ import annotations

from collections.abc import Sequence

LISTED = 6
"""Tokens shown before a list is cut short."""

_COUNTS = {1: "a", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}
_BLANKS = {"\n": ("line break", "line breaks"), "\t": ("tab", "tabs"), " ": ("space", "spaces")}


def visible(token: str) -> str:
    """A token as a reader can see it: quoted, or named when it is whitespace only."""
    if token == "":
        return "an empty token"
    if not token.strip("\n"):
        # Others hold a line break too: most tokenizers join it with the indentation behind it.
        return count(len(token), "bare line break")
    if token.isspace():
        return _blank(token)
    body = token.encode("unicode_escape").decode("ascii") if _hides(token) else token
    return f'"{body}"' if "'" in body else f"'{body}'"


def listing(items: Sequence[str], joint: str = "and", limit: int = LISTED) -> str:
    """`a, b and c`; beyond `limit` items the first few and how many more there are."""
    if len(items) > limit:
        shown = items[: limit - 2]
        return f"{', '.join(shown)} and {len(items) - len(shown)} more like these"
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {joint} {items[-1]}"


def spelled(tokens: Sequence[str]) -> str:
    """Tokens as a list; line breaks that differ only in their indentation are said together."""
    depths: dict[str, list[int]] = {}
    for token in tokens:
        if token.startswith("\n") and not token.strip("\n "):
            breaks = token.rstrip(" ")
            depths.setdefault(breaks, []).append(len(token) - len(breaks))
    joined = {breaks: found for breaks, found in depths.items() if len(found) > 1}
    items = [visible(token) for token in tokens if token.rstrip(" ") not in joined]
    for breaks, found in joined.items():
        numbers = [str(depth) for depth in sorted(found)]
        if len(numbers) > LISTED:
            numbers = [*numbers[: LISTED - 2], "other numbers of"]
        items.append(f"{_blank(breaks)} with {listing(numbers, joint='or')} spaces")
    return listing(items)


def count(number: int, singular: str, plural: str | None = None) -> str:
    """`a line`, `two lines`, `12 lines`."""
    noun = singular if number == 1 else (plural or f"{singular}s")
    return f"{_COUNTS.get(number, number)} {noun}"


def _hides(token: str) -> bool:
    """Whether printing the token as it is would hide or break something."""
    return any(not char.isprintable() for char in token)


def _blank(token: str) -> str:
    """Whitespace by name: `a line break and four spaces`."""
    runs: list[tuple[str, int]] = []
    for char in token:
        if runs and runs[-1][0] == char:
            runs[-1] = (char, runs[-1][1] + 1)
        else:
            runs.append((char, 1))
    names = [count(n, *_BLANKS.get(char, (f"U+{ord(char):04X}", None))) for char, n in runs]
    return listing(names)
