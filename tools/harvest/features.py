"""Which features are asked for: ids, ranges, and random ones among those that are alive."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Literal

import numpy as np

from tools.errors import ConfigError, FeatureOutOfRange

FeatureSlot = int | Literal["random"]
"""A feature id, or one draw among the alive features."""

RANDOM: Literal["random"] = "random"

_ITEM = re.compile(r"(?P<first>\d+)(?:-(?P<last>\d+))?|random:(?P<draws>\d+)")


@dataclass(frozen=True, slots=True)
class FeatureRequest:
    """The features a run asks for, in order, before random draws are made."""

    slots: tuple[FeatureSlot, ...]

    @property
    def explicit(self) -> tuple[int, ...]:
        """The features named by id."""
        return tuple(slot for slot in self.slots if slot != RANDOM)

    @property
    def n_random(self) -> int:
        """Number of random draws."""
        return self.slots.count(RANDOM)


def parse_features(spec: str | int | Sequence[int | str], n_features: int) -> FeatureRequest:
    """Read ids, ranges such as `100-119` (both ends included) and `random:20`.

    Args:
        spec: one item, a comma-separated list of items, or a list of such.
        n_features: number of the SAE's latents.

    Raises:
        ConfigError: an item is none of these, or nothing is asked for.
        FeatureOutOfRange: an id is not one of the SAE's latents.
    """
    slots: list[FeatureSlot] = []
    named: set[FeatureSlot] = set()
    for slot in chain.from_iterable(_slots(item, n_features) for item in _items(spec)):
        if slot not in named:
            slots.append(slot)
        if slot != RANDOM:
            named.add(slot)
    request = FeatureRequest(tuple(slots))
    if not request.slots:
        raise ConfigError("No features are asked for; name some, as in: features: [3, 'random:8'].")
    if len(request.slots) > n_features:
        raise FeatureOutOfRange(
            f"{len(request.slots)} features are asked for; the SAE has {n_features}. Ask for fewer."
        )
    return request


def _items(spec: str | int | Sequence[int | str]) -> list[str]:
    listed = [spec] if isinstance(spec, str | int) else spec
    return [part.strip() for item in listed for part in str(item).split(",") if part.strip()]


def _slots(item: str, n_features: int) -> Iterable[FeatureSlot]:
    match = _ITEM.fullmatch(re.sub(r"\s", "", item))
    if match is None:
        raise ConfigError(
            f"features: '{item}' is neither an id (17), a range (100-119) nor a draw (random:20)."
        )
    if match["draws"]:
        return repeat(RANDOM, min(int(match["draws"]), n_features + 1))
    first = int(match["first"])
    last = int(match["last"] or first)
    if last < first:
        raise ConfigError(f"features: the range '{item}' is empty; did you mean {last}-{first}?")
    if last >= n_features:
        raise FeatureOutOfRange(
            f"features: '{item}' asks for feature {last}; the SAE has {n_features}, "
            f"numbered 0 to {n_features - 1}."
        )
    return range(first, last + 1)


CountFirings = Callable[[Sequence[int]], Mapping[int, int]]
"""Measures features on the sample: id to number of active tokens."""


def resolve_features(
    request: FeatureRequest, n_features: int, seed: int, count_firings: CountFirings
) -> tuple[int, ...]:
    """Make the random draws: the first alive features of a seeded order, named ones aside.

    The named features are counted along with the first candidates, so that one pass over the
    corpus usually serves all. How many candidates are counted at once changes nothing.

    Raises:
        ConfigError: fewer features are alive than asked for.
    """
    candidates = _seeded_order(n_features, seed, set(request.explicit))
    alive: list[int] = []
    counted_with = list(request.explicit)
    at_once = 3 * request.n_random + 16
    for start in range(0, len(candidates) if request.n_random else 0, at_once):
        chunk = candidates[start : start + at_once]
        counts = count_firings([*counted_with, *chunk])
        counted_with = []
        alive += [feature for feature in chunk if counts[feature] > 0]
        if len(alive) >= request.n_random:
            break
    if len(alive) < request.n_random:
        raise ConfigError(
            f"features: random:{request.n_random} was asked for, but only {len(alive)} of the "
            f"{len(candidates)} features not named by id fire on this corpus. Ask for fewer, or "
            "raise corpus.max_tokens."
        )
    return _filled(request.slots, alive)


def _seeded_order(n_features: int, seed: int, left_out: set[int]) -> list[int]:
    random = np.random.default_rng(seed & 0xFFFF_FFFF_FFFF_FFFF)
    order: list[int] = random.permutation(n_features).tolist()
    return [feature for feature in order if feature not in left_out]


def _filled(slots: Iterable[FeatureSlot], drawn: Iterable[int]) -> tuple[int, ...]:
    draws = iter(drawn)
    return tuple(next(draws) if slot == RANDOM else slot for slot in slots)
