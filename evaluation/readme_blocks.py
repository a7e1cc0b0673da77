"""Parts of the README that are written by a program: they stand between two marks."""

from __future__ import annotations

import re


def block(name: str, command: str, body: str) -> str:
    """A part with its marks."""
    return f"{_begin(name, command)}\n{body}\n{_end(name)}"


def with_block(readme: str, name: str, command: str, body: str) -> str:
    """The README with one part written anew.

    Raises:
        ValueError: the README lacks the marks.
    """
    begin, end = _begin(name, command), _end(name)
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(readme):
        raise ValueError(f"the README has no block from {begin} to {end}.")
    return pattern.sub(lambda _: block(name, command, body), readme)


def _begin(name: str, command: str) -> str:
    return f"<!-- {name}: written by `{command}` -->"


def _end(name: str) -> str:
    return f"<!-- end of {name} -->"
