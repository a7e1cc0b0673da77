"""Texts for experiments, made by editing real contexts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from graphs.records import Expectation, ExperimentKind
from tools.activations import Tokenization
from tools.exemplars import Exemplar
from tools.rules import Rule, Windows

LEFT = 32
"""Tokens kept before the one that a text is about."""
RIGHT = 4
"""Tokens kept after it: a causal model cannot see them from there, but a reader can."""
ACTIVE_SHARE = 0.7
"""A rule predicts `active` where it says so much of its own strongest."""
SILENT = 0.05
"""A rule predicts `inactive` where it says no more than this of any token."""


@dataclass(frozen=True, slots=True)
class Site:
    """One token of a real context."""

    tokens: tuple[str, ...]
    at: int
    """Index of the token."""

    def text(self, left: int = LEFT, right: int = RIGHT) -> str:
        """The context around it."""
        return "".join(self.tokens[max(0, self.at - left) : self.at + 1 + right])

    def with_token(self, surface: str) -> Site:
        """The same context with another token in its place."""
        return Site((*self.tokens[: self.at], surface, *self.tokens[self.at + 1 :]), self.at)

    @property
    def token(self) -> str:
        """The token itself."""
        return self.tokens[self.at]


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that an experiment might use."""

    kind: ExperimentKind
    text: str
    purpose: str
    ending: str | None = None
    """The token that the text must end with when read, or it would not test what it says."""
    original: str = ""
    """The text that a minimal pair changes one thing of."""
    sampled: bool = False
    """Drawn from the contexts that fire, whatever the hypothesis says of it: to be kept."""


def read(tokenization: Tokenization, draft: Draft) -> tuple[str, ...]:
    """The tokens that will be measured; empty for a text that cannot be used.

    Pieces of undecodable bytes cannot be put in a text: it would be read as other tokens.
    """
    if not draft.text or "\ufffd" in draft.text:
        return ()
    token_ids = tokenization.tokenize(draft.text)
    if not 0 < len(token_ids) <= tokenization.window_size:
        return ()
    tokens = tuple(tokenization.surfaces(token_ids))
    return tokens if draft.ending in (None, tokens[-1]) else ()


def readable(
    tokenization: Tokenization, drafts: Iterable[Draft]
) -> Iterator[tuple[Draft, tuple[str, ...]]]:
    """Those of some drafts that can be used, each text once, with the tokens to be measured."""
    seen: set[str] = set()
    for draft in drafts:
        if draft.text not in seen and (tokens := read(tokenization, draft)):
            seen.add(draft.text)
            yield draft, tokens


def expectation(rule: Rule, tokens: Sequence[str]) -> Expectation | None:
    """What a rule predicts of a text's maximum; None where it says neither loud nor silent.

    A rule is held to its strongest claims: what it calls weak is neither active nor inactive.
    """
    (expected,) = expectations(rule, TokenizedTexts.of([tokens]))
    return expected


@dataclass(frozen=True, slots=True)
class TokenizedTexts:
    """Texts that several rules are held against."""

    windows: Windows
    lengths: tuple[int, ...]
    """Of each text, in tokens."""

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]]) -> TokenizedTexts:
        """Some texts, each a sequence of token surfaces, which may be empty."""
        return cls(Windows.of(texts), tuple(map(len, texts)))


def expectations(rule: Rule, texts: TokenizedTexts) -> list[Expectation | None]:
    """What `expectation` says of each of many texts, at a fraction of the time."""
    lengths = np.array(texts.lengths)
    loudest = np.zeros(len(lengths))
    begins = (np.cumsum(lengths) - lengths)[lengths > 0]
    if len(begins):
        loudest[lengths > 0] = np.maximum.reduceat(rule.predict_windows(texts.windows), begins)
    least = ACTIVE_SHARE * rule.strength
    return [
        "inactive" if loud <= SILENT else "active" if loud >= least else None
        for loud in loudest.tolist()
    ]


class Library:
    """Real contexts in which a rule's sites can be looked up."""

    def __init__(self, exemplars: Sequence[Exemplar]) -> None:
        self.exemplars = tuple(exemplars)
        self._windows = Windows.of([exemplar.tokens for exemplar in self.exemplars])
        self._known: dict[Rule, list[Site]] = {}

    def sites(self, rule: Rule) -> list[Site]:
        """The strongest token of each context in which a rule predicts `active`."""
        if rule not in self._known:
            self._known[rule] = list(self._find(rule))
        return self._known[rule]

    def _find(self, rule: Rule) -> Iterator[Site]:
        predicted = rule.predict_windows(self._windows)
        begins = np.flatnonzero(self._windows.positions == 0)[1:]
        for exemplar, part in zip(self.exemplars, np.split(predicted, begins), strict=True):
            loudest = float(part.max())
            if loudest >= ACTIVE_SHARE * rule.strength:
                # The middle one of equals: the first often stands at the edge of its window.
                equals = np.flatnonzero(part == loudest)
                yield Site(exemplar.tokens, int(equals[len(equals) // 2]))


def shortest_span(rule: Rule, site: Site, longest: int = 8) -> tuple[str, ...]:
    """The fewest tokens up to a site on which a rule still predicts `active` alone."""
    for length in range(1, longest + 1):
        span = site.tokens[max(0, site.at + 1 - length) : site.at + 1]
        if expectation(rule, span) == "active":
            return span
    return ()
