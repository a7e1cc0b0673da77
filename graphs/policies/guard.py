"""Policies are foreign code: what one raises or returns amiss fails its feature, in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from graphs.foreign import foreign_code
from graphs.records import (
    Conclusion,
    Design,
    Interpretation,
    Proposal,
    Record,
    Refinement,
    Review,
    Setback,
)
from tools.errors import PolicyError

_MANY: dict[str, tuple[type[Record], ...]] = {
    "generate_hypotheses": (Proposal,),
    "design_experiments": (Design, Setback),
    "analyze_evidence": (Interpretation,),
    "refine_hypotheses": (Refinement, Setback),
}
"""Methods that answer with a sequence of such records."""
_ONE: dict[str, type[Record]] = {"review": Review, "conclude": Conclusion}
"""Methods that answer with one record."""


class GuardedPolicy:
    """A policy whose every failure is a PolicyError that names it and the place."""

    def __init__(self, name: str, policy: object) -> None:
        self._name = name
        self._policy = policy

    def __getattr__(self, method: str) -> Callable[..., Any]:
        call = getattr(self._policy, method)

        def guarded(*arguments: Any) -> Any:
            with foreign_code(f"policy {self._name!r} failed in {method}", PolicyError):
                answer = call(*arguments)
            self._check(method, answer)
            return answer

        return guarded

    def _check(self, method: str, answer: object) -> None:
        if method in _ONE:
            good, wanted = isinstance(answer, _ONE[method]), f"a {_ONE[method].__name__}"
        else:
            good, wanted = _all_are(_MANY[method], answer), f"a list of {_MANY[method][0].__name__}"
        if not good:
            raise PolicyError(
                f"policy {self._name!r} answered {method} with {repr(answer)[:80]}; {wanted} is "
                "expected (see graphs/policies/protocols.py)."
            )


def _all_are(kinds: tuple[type[Record], ...], answer: object) -> bool:
    if not isinstance(answer, list | tuple):
        return False
    return all(isinstance(item, kinds) for item in cast("list[object]", answer))
