"""What holds for rules of every kind on any text."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest

from tests.rule_cases import RuleMaker
from tools.rules import (
    Condition,
    Enclosure,
    Inside,
    Windows,
    condition_from_json,
    rule_from_json,
)

SEEDS = range(24)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_kind_is_its_json(seed: int) -> None:
    for condition in RuleMaker(seed).kinds():
        again = condition_from_json(json.loads(json.dumps(condition.to_json())))
        assert again == condition
        assert hash(again) == hash(condition)
        assert again.to_json() == condition.to_json()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_batch_of_windows_is_read_as_each_alone(seed: int) -> None:
    maker = RuleMaker(seed)
    texts = maker.texts(6)
    for rule in [maker.rule() for _ in range(8)]:
        together = rule.predict_windows(Windows.of(texts))
        alone = [rule.predict(tokens) for tokens in texts]
        assert np.array_equal(together, np.concatenate(alone))
        assert np.array_equal(
            together, rule_from_json(rule.to_json()).predict_windows(Windows.of(texts))
        )
        assert ((together >= 0) & (together <= 1)).all()


@pytest.mark.parametrize("what", get_args(Enclosure))
def test_many_windows_are_read_side_by_side_as_one_by_one(what: Enclosure) -> None:
    random = np.random.default_rng(0)
    surfaces = [*"ab \n#'\"/*()[]{}\\", "\n\n", ' "', "//", '"""', "\u201c", "\u201d"]
    texts = [random.choice(surfaces, size=n).tolist() for n in random.integers(1, 60, 300)]
    together = Inside(what).mask(Windows.of(texts))
    alone = [Inside(what).mask(Windows.of([tokens])) for tokens in texts]
    assert together.any()
    assert np.array_equal(together, np.concatenate(alone))


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_later_changes_what_holds(seed: int) -> None:
    maker = RuleMaker(seed)
    for condition in [*maker.kinds(), *(maker.condition(3) for _ in range(20))]:
        [tokens, other] = maker.texts(2)
        cut = len(tokens) // 2
        whole = held(condition, tokens)
        assert held(condition, tokens[:cut]) == whole[:cut]
        assert held(condition, tokens[:cut] + other)[:cut] == whole[:cut]


def test_every_kind_holds_somewhere_and_not_everywhere() -> None:
    maker = RuleMaker(0)
    windows = Windows.of(maker.texts(60))
    for kind in Condition.kinds.values():
        drawn = [c for _ in range(60) for c in maker.kinds() if isinstance(c, kind)]
        assert any(0 < c.mask(windows).sum() < len(windows) for c in drawn), kind


def held(condition: Condition, tokens: list[str]) -> list[bool]:
    return condition.mask(Windows.of([tokens])).tolist()
