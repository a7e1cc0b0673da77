"""A run of planted features, explained and scored through the command line in no time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

# A command that is over leaves at once if this is still being imported: pytest would go with it.
import tools.subject  # noqa: F401
from evaluation.truth import Truth
from tests.fakes import DEFAULT_WORDS, FakeSubject, Planted, strength
from tools.rules import Windows

Share = Callable[[Sequence[str], int], float]
"""Bare tokens of a text and a place in it: how strongly the feature fires there, in [0, 1]."""


@dataclass(frozen=True)
class Meaning:
    """What a feature means; a Predictor."""

    family: str
    name: str
    share: Share
    scale: float = 8.0

    def predict_windows(self, windows: Windows) -> NDArray[np.float32]:
        surfaces = list(windows.spelled(windows.codes))
        starts = [*np.flatnonzero(windows.positions == 0), len(surfaces)]
        texts = [surfaces[b:e] for b, e in zip(starts, starts[1:], strict=False)]
        return np.array([s for text in texts for s in self.shares(text)], np.float32)

    def shares(self, tokens: Sequence[str]) -> list[float]:
        return [self.share(tokens, index) for index in range(len(tokens))]

    def planted(self) -> Planted:
        """The feature: its meaning with some variation."""

        def function(tokens: Sequence[str]) -> list[float]:
            return [
                self.scale * share * (0.6 + 0.4 * strength(tokens, index)) if share else 0.0
                for index, share in enumerate(self.shares(tokens))
            ]

        return Planted(self.name, function)


def graded(**shares: float) -> Share:
    return lambda tokens, i: shares.get(tokens[i].strip(), 0.0)


def after(words: set[str], triggers: set[str]) -> Share:
    return lambda t, i: float(i > 0 and t[i].strip() in words and t[i - 1].strip() in triggers)


def never_after(words: set[str], triggers: set[str]) -> Share:
    return lambda t, i: float(
        t[i].strip() in words and not (i > 0 and t[i - 1].strip() in triggers)
    )


DIGITS = set("0123456789")

MEANINGS = (
    Meaning("token", "return", graded(**{"return": 1.0})),
    Meaning("graded", "animals", graded(cat=1.0, dog=0.5, tree=0.25), scale=3.0),
    Meaning("context", "None after is", after({"None"}, {"is"}), scale=20.0),
    Meaning("context", "Paris after in", after({"Paris"}, {"in"})),
    Meaning("exception", "London but in", never_after({"London"}, {"in"})),
    Meaning("graded", "open and red", graded(open=1.0, red=0.4)),
    Meaning("context", "True after as", after({"True"}, {"as"}), scale=100.0),
    Meaning("exception", "value but new", never_after({"value"}, {"new"})),
    Meaning("token", "capitals", lambda t, i: float(t[i][:2].strip().isupper() and len(t[i]) > 2)),
    Meaning("every", "every token", lambda tokens, i: 0.8),
    Meaning("dead", "never", lambda tokens, i: 0.0),
    Meaning("token", "rare", graded(zebra=1.0)),
)


class KnownSubject(FakeSubject):
    """A FakeSubject whose meanings are known."""

    def __init__(self) -> None:
        words = (*DEFAULT_WORDS, "zebra")
        super().__init__([m.planted() for m in MEANINGS], words)

    def truth(self, feature: int) -> Truth:
        meaning = MEANINGS[feature]
        return Truth(meaning.family, meaning.name, meaning)


PHRASES = (
    "this is None", "that was None", "and None", "run in Paris", "from Paris", "to Paris",
    "in London", "to London", "from London", "with as True", "or True", "not True",
    "the new value", "old value", "any value", "one cat", "two dog", "big tree",
    "open red house", "open it", "a red house", "return it",
)


def corpus(n_documents: int = 90, n_sentences: int = 10, seed: int = 0, rate: float = 0.3) -> str:
    random = np.random.default_rng(seed)
    def sentence() -> str:
        parts = [
            str(random.choice(PHRASES)) if random.random() < rate else str(random.choice(DEFAULT_WORDS))
            for _ in range(int(random.integers(3, 9)))
        ]
        return " ".join(parts) + "."
    texts = []
    for number in range(n_documents):
        zebra = " a zebra." if number % 8 == 0 else ""
        texts.append(f"{number}: " + "\n".join(sentence() for _ in range(n_sentences)) + zebra)
    return "\n\n\n".join(texts)


def write_run(folder: Path, **changes: Any) -> Path:
    (folder / "corpus.txt").write_text(corpus())
    content = {
        "subject": {"factory": "tests.evaluations:KnownSubject"},
        "corpus": {"source": str(folder / "corpus.txt"), "max_tokens": 20000},
        "features": [f"0-{len(MEANINGS) - 1}"],
        "database": str(folder / "run.duckdb"),
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}))
    return path
