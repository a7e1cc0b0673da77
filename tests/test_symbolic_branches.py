"""Branches put together: shorter to say, and they predict what they predicted."""

from __future__ import annotations

import numpy as np
import pytest

from graphs.policies.symbolic.branches import listed, pooled, unrepeated
from tools.rules import AllOf, Before, Branch, Condition, Not, Rule, TokenIn, Windows

SURFACES = ("up", " up", " Up", "el", "use", " use", "(", ")")
NEAR = Before(TokenIn(("(",)), 1, 3)


def random_branches(seed: int) -> list[Branch]:
    random = np.random.default_rng(seed)

    def tokens() -> TokenIn:
        chosen = random.choice(SURFACES, size=int(random.integers(1, 5)), replace=False)
        return TokenIn(tuple(map(str, chosen)), folded=bool(random.integers(3) == 0))

    def condition() -> Condition:
        kind = int(random.integers(4))
        return (tokens(), AllOf((tokens(), NEAR)), AllOf((NEAR, Not(tokens()))), NEAR)[kind]

    return [Branch(condition(), round(float(random.uniform(0.1, 1)), 2)) for _ in range(6)]


@pytest.mark.parametrize("seed", range(40))
def test_what_is_left_out_was_said_in_vain(seed: int) -> None:
    random = np.random.default_rng(seed)
    windows = Windows.of([[str(t) for t in random.choice(SURFACES, 30)] for _ in range(6)])
    branches = random_branches(seed)
    kept = unrepeated(branches)
    assert listed(kept) <= listed(branches)
    before, after = (Rule(tuple(some)).predict_windows(windows) for some in (branches, kept))
    assert np.array_equal(before, after)
    assert unrepeated(kept) == kept


def test_a_token_is_said_where_it_is_loudest_and_again_only_where_that_says_more() -> None:
    loud, weak = TokenIn((" use", "el")), TokenIn((" use", "up"))
    again = AllOf((TokenIn((" use",)), NEAR))
    any_spelling = TokenIn(("use",), folded=True)
    branches = [Branch(weak, 0.4), Branch(loud, 0.8), Branch(again, 0.6), Branch(any_spelling, 0.3)]
    assert unrepeated(branches) == [
        Branch(loud, 0.8),
        Branch(TokenIn(("up",)), 0.4),
        Branch(any_spelling, 0.3),
    ]
    # In a context where it is louder than anywhere it is worth saying.
    assert unrepeated([Branch(again, 0.9), Branch(weak, 0.4)]) == [
        Branch(again, 0.9),
        Branch(weak, 0.4),
    ]


def test_lists_of_about_equal_strength_are_one() -> None:
    branches = [Branch(TokenIn(("up",)), 0.5), Branch(TokenIn(("el", "use")), 0.47)]
    assert pooled(branches) == [Branch(TokenIn(("up", "el", "use")), 0.48)]
    apart = [Branch(TokenIn(("up",)), 0.5), Branch(TokenIn(("el",)), 0.4)]
    assert pooled(apart) == apart
