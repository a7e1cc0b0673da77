"""How fast a rule is executed: tokens a second on one core, beside a plain look-up of tokens."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from evaluation.bench.rows import BenchRow
from tools.rules import AllOf, Before, Branch, Inside, Not, Rule, TokenIn, Vocabulary, Windows

TOKENS = 1_000_000
WINDOW = 128
VOCABULARIES = (50_000, 250_000)
REPEATS = 5
TOKENS_PER_SECOND = 1e6
RATIO = 50.0
"""Times as long as `np.isin` over the same tokens: a floor that shares the machine's noise."""

_WORDS = (" import", " from", " return", " def", " class", " self", " if", "\n")
_OTHERS = ("(", ")", '"', "'", "\\", "#", ",", ".", ":", "\n    ", " the", " =")
_LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


def rule_rows() -> list[BenchRow]:
    """A typical rule over text of Zipf's law, by size of vocabulary, nothing being remembered."""
    return [row for size in VOCABULARIES for row in _rows(size)]


def _rows(size: int) -> list[BenchRow]:
    windows = _text(size)
    unread = iter([_unread(windows) for _ in range(REPEATS)])
    seconds = _fastest(lambda: TYPICAL.predict_windows(next(unread)))
    floor = _fastest(lambda: np.isin(windows.codes, np.arange(8)))
    name = f"typical rule, {size // 1000}k surfaces"
    return [
        BenchRow(name, TOKENS / seconds, TOKENS_PER_SECOND, "tokens/s", more_is_better=True),
        BenchRow(f"{name} / np.isin", seconds / floor, RATIO, "ratio"),
    ]


TYPICAL = Rule(
    (
        Branch(
            AllOf(
                (
                    TokenIn(_WORDS[:4]),
                    Before(TokenIn((" the", "(")), 1, 8),
                    Not(Inside("string")),
                )
            ),
            0.9,
        ),
        Branch(TokenIn(_WORDS[4:]), 0.4),
    )
)
"""Eight tokens in two grades, one of them only near others and outside strings."""


def _text(size: int) -> Windows:
    """Windows over `size` surfaces: words with and without a space, and what code is made of."""
    random = np.random.default_rng(0)
    lengths = random.integers(1, 9, size)
    letters = "".join(random.choice(list(_LETTERS), lengths.sum()))
    ends = np.cumsum(lengths)
    words = (
        f"{' ' * (end % 2)}{letters[end - length : end]}"
        for length, end in zip(lengths.tolist(), ends.tolist(), strict=True)
    )
    vocabulary = Vocabulary(dict.fromkeys((*_WORDS, *_OTHERS, *words)))
    codes = np.minimum(random.zipf(1.2, TOKENS), len(vocabulary)) - 1
    return Windows(vocabulary, codes, np.arange(TOKENS) % WINDOW)


def _unread(windows: Windows) -> Windows:
    """The same windows with nothing remembered, of their vocabulary neither."""
    return Windows(Vocabulary(windows.vocabulary), windows.codes, windows.positions)


def _fastest(run: Callable[[], object]) -> float:
    """Fastest of several runs in seconds: what is slower is the machine's doing."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best
