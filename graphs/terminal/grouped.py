"""Options that take several words and may be repeated, which Typer does not offer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar

from typer.core import TyperCommand

from tools.errors import EditRefused


class GroupedCommand(TyperCommand):
    """Hands the words that follow such an option on as one value, which `ungrouped` reads."""

    words: ClassVar[Mapping[str, int]] = {"--add-experiment": 3, "--edit": 2}
    """How many follow."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join the words, then parse as usual.

        Raises:
            EditRefused: words are missing.
        """
        joined: list[str] = []
        rest = iter(args)
        for arg in rest:
            if arg.startswith(tuple(f"{option}=" for option in self.words)):
                option = arg.partition("=")[0]
                raise EditRefused(f"write {option} and its words apart, without '='")
            joined.append(arg)
            if arg == "--":
                break
            if arg in self.words:
                number = self.words[arg]
                group = list(islice(rest, number))
                if len(group) < number:
                    raise EditRefused(f"{arg} takes {number} words; see saesage {self.name} --help")
                joined.append(json.dumps(group))
        return super().parse_args(ctx, [*joined, *rest])


def ungrouped(values: list[str] | None) -> list[tuple[str, ...]]:
    """The words of each time that the option was given."""
    return [tuple(json.loads(value)) for value in values or ()]
