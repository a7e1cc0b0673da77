"""Reading a rule's JSON: every malformed field is one clear error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from tools.errors import RuleError

S = TypeVar("S", bound=str)


def mapping(data: object, what: str) -> Mapping[str, Any]:
    """`data` as a JSON object."""
    if not isinstance(data, Mapping):
        raise RuleError(f"{what} must be a JSON object, not {_name(data)}.")
    return cast(Mapping[str, Any], data)


def closed(data: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    """Refuse keys that `what` does not have."""
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise RuleError(f"{what} has no field {unknown[0]!r}; its fields are {', '.join(known)}.")


def sequence(data: Mapping[str, Any], key: str, what: str) -> Sequence[object]:
    """A non-empty JSON array."""
    value = _required(data, key, what)
    if not isinstance(value, list | tuple) or not value:
        raise RuleError(f"{what}: {key!r} must be a list that is not empty.")
    return cast(Sequence[object], value)


def string(data: Mapping[str, Any], key: str, what: str) -> str:
    """A string that is not empty."""
    value = _required(data, key, what)
    if not isinstance(value, str) or not value:
        raise RuleError(f"{what}: {key!r} must be a string that is not empty, not {_name(value)}.")
    return value


def strings(data: Mapping[str, Any], key: str, what: str) -> tuple[str, ...]:
    """A non-empty JSON array of strings."""
    values = sequence(data, key, what)
    texts = tuple(value for value in values if isinstance(value, str))
    if len(texts) != len(values):
        raise RuleError(f"{what}: {key!r} must hold strings only.")
    return texts


def flag(data: Mapping[str, Any], key: str, what: str) -> bool:
    """A boolean; absent means false."""
    value: object = data.get(key, False)
    if not isinstance(value, bool):
        raise RuleError(f"{what}: {key!r} must be true or false, not {_name(value)}.")
    return value


def positive(data: Mapping[str, Any], key: str, what: str) -> int:
    """A whole number of at least 1."""
    value = _required(data, key, what)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RuleError(f"{what}: {key!r} must be a whole number of at least 1.")
    return value


def distances(data: Mapping[str, Any], what: str) -> tuple[int, int]:
    """The fields `nearest` and `farthest`, numbers of tokens."""
    nearest, farthest = (positive(data, key, what) for key in ("nearest", "farthest"))
    if farthest < nearest:
        raise RuleError(f"{what}: 'farthest' must be at least 'nearest'.")
    return nearest, farthest


def one_of(data: Mapping[str, Any], key: str, known: Sequence[S], what: str) -> S:
    """One of the strings `known`."""
    value = string(data, key, what)
    for choice in known:
        if choice == value:
            return choice
    raise RuleError(f"{what}: {key!r} must be one of {', '.join(known)}, not {value!r}.")


def fraction(data: Mapping[str, Any], key: str, what: str) -> float:
    """A number in [0, 1]."""
    value = _required(data, key, what)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise RuleError(f"{what}: {key!r} must be a number from 0 to 1.")
    return float(value)


def _required(data: Mapping[str, Any], key: str, what: str) -> object:
    if key not in data:
        raise RuleError(f"{what} lacks the field {key!r}.")
    return data[key]


def _name(value: object) -> str:
    return "null" if value is None else f"{type(value).__name__} {value!r}"
