"""The distinct surfaces of some text, with what was found out about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any, TypeVar

from tools.rules.classes import fold

T = TypeVar("T")


class Vocabulary(tuple[str, ...]):
    """Distinct surfaces, each with a code: its index.

    What is looked up here stays for all windows that share the vocabulary.
    """

    @cached_property
    def code_of(self) -> dict[str, int]:
        """The code of each surface."""
        return {surface: code for code, surface in enumerate(self)}

    @cached_property
    def folded(self) -> dict[str, list[int]]:
        """The codes of each folded surface (`tools.rules.classes.fold`)."""
        codes: dict[str, list[int]] = defaultdict(list)
        for code, surface in enumerate(self):
            codes[fold(surface)].append(code)
        return dict(codes)

    @cached_property
    def _tables(self) -> dict[Hashable, Any]:
        return {}

    def table(self, key: Hashable, compute: Callable[[Vocabulary], T]) -> T:
        """What `compute` gives, asked at the first call with `key` only."""
        if key not in self._tables:
            self._tables[key] = compute(self)
        return self._tables[key]
