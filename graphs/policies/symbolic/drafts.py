"""Drafts of texts, one function for each way of making them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np

from graphs.policies.protocols import Dossier
from graphs.policies.symbolic.texts import (
    LEFT,
    RIGHT,
    Draft,
    Library,
    Site,
    expectation,
    shortest_span,
)
from tools.exemplars import Exemplar
from tools.rules import Rule, count, visible

T = TypeVar("T")

ABLATIONS = (0, 1, 3, 8)
"""Tokens of context that are left, where the context is shortened."""
NARROW = 10
"""Tokens of context where other tokens should not get in the way."""
NEUTRAL = 14
"""Tokens of neutral text that a trigger is put behind."""
FIRING = ("top", "quantile_4", "quantile_3")
"""Bands whose windows fire so clearly that a rule must not miss them."""
SAMPLED = 3
"""Firing contexts drawn for each hypothesis and round, whatever it says of them."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What texts are made from, for one hypothesis in one round."""

    dossier: Dossier
    rule: Rule
    rivals: Sequence[Rule]
    own_words: Sequence[str]
    """Tokens that carry the feature's activation, to swap in."""
    ordinary_words: Sequence[str]
    """Tokens of text on which it is silent, to swap in."""
    rng: np.random.Generator
    """Seeded from the feature, the round and the hypothesis."""
    test: Library
    """Contexts of the test split."""

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """A fresh order: every round looks at other contexts first."""
        return [items[int(index)] for index in self.rng.permutation(len(items))]

    def contexts(self, *bands: str) -> list[Exemplar]:
        """Contexts of some bands of the test split, shuffled; all of them if no band is named."""
        chosen = [c for c in self.dossier.contexts if not bands or c.band in bands]
        return self.shuffled(chosen)

    def sites(self, rule: Rule) -> list[Site]:
        """Where a rule predicts `active` in test contexts, or in edited ones if in none."""
        return self.shuffled(self.test.sites(rule) or list(self._planted(rule)))

    def _planted(self, rule: Rule) -> Iterator[Site]:
        """The feature's own words behind unrelated text of the test split."""
        for exemplar, word in product(self.contexts("random"), self.own_words):
            tokens = (*exemplar.tokens[:NEUTRAL], word)
            if expectation(rule, tokens) == "active":
                yield Site(tokens, len(tokens) - 1)


def drafts(workshop: Workshop) -> Iterator[Draft]:
    """All ways of making texts for a hypothesis that says what fires."""
    here = workshop.sites(workshop.rule)
    yield from firing(workshop)
    yield from in_context(here)
    yield from in_neutral_text(workshop, here)
    yield from swapped(workshop, here)
    yield from shortened(here)
    yield from for_rivals(workshop)
    yield from neutral(workshop)


def silent_drafts(workshop: Workshop) -> Iterator[Draft]:
    """Texts for what is said not to fire, with little beside it that might."""
    here = workshop.sites(workshop.rule)
    yield from in_context(here, left=NARROW, right=0)
    yield from in_neutral_text(workshop, here)
    yield from shortened(here)


def firing(workshop: Workshop) -> Iterator[Draft]:
    """A sample of the contexts that fire: a hypothesis too narrow calls most of them silent."""
    for exemplar in workshop.contexts(*FIRING)[:SAMPLED]:
        site = Site(exemplar.tokens, exemplar.peak)
        purpose = f"{visible(site.token)} where the feature fires in the corpus"
        yield Draft("near_miss", site.text(), purpose, sampled=True)


def in_context(here: Sequence[Site], left: int = LEFT, right: int = RIGHT) -> Iterator[Draft]:
    """A trigger where it stands in the corpus."""
    for site in here[:8]:
        text = site.text(left, right)
        yield Draft("positive", text, f"{visible(site.token)} in a real context")


def in_neutral_text(workshop: Workshop, here: Sequence[Site]) -> Iterator[Draft]:
    """A trigger, with no more context than the rule asks for, put behind unrelated text."""
    quiet = workshop.contexts("random")
    spans = [shortest_span(workshop.rule, site) for site in here[:6]]
    for span, exemplar in zip(dict.fromkeys(filter(None, spans)), quiet, strict=False):
        text = "".join((*exemplar.tokens[:NEUTRAL], *span))
        purpose = f"{visible(span[-1])} put behind unrelated text"
        yield Draft("positive", text, purpose, ending=span[-1])


def swapped(workshop: Workshop, here: Sequence[Site]) -> Iterator[Draft]:
    """One thing changed: the trigger for another token, or its capitals, or its leading space."""
    for site in here[:3]:
        for surface in (*_spellings(site.token), *_picked(workshop)):
            if surface != site.token:
                change = f"{visible(site.token)} replaced by {visible(surface)}"
                text = site.with_token(surface).text(right=0)
                original = site.text(right=0)
                yield Draft("minimal_pair", text, change, ending=surface, original=original)


def _spellings(surface: str) -> list[str]:
    body = surface.lstrip(" ")
    space = surface[: len(surface) - len(body)]
    forms = (body, f" {body}", space + body.upper(), space + body.lower(), space + body.title())
    return [form for form in dict.fromkeys(forms) if form != surface and form.strip()]


def _picked(workshop: Workshop) -> list[str]:
    """Some of the feature's own words, and some ordinary ones."""
    chosen: list[str] = []
    for words in (workshop.own_words, workshop.ordinary_words):
        for index in workshop.rng.permutation(len(words))[:4]:
            chosen.append(words[int(index)])
    return chosen


def shortened(here: Sequence[Site]) -> Iterator[Draft]:
    """The trigger with less and less before it."""
    for site in here[:3]:
        for left in ABLATIONS:
            purpose = f"{visible(site.token)} after {count(left, 'token') if left else 'nothing'}"
            text = site.text(left=left, right=0)
            yield Draft("context_ablation", text, purpose, ending=site.token)


def for_rivals(workshop: Workshop) -> Iterator[Draft]:
    """Texts on which a rival predicts `active`."""
    for rival in workshop.rivals:
        for site in workshop.sites(rival)[:4]:
            purpose = f"a rival expects {visible(site.token)} to fire here"
            yield Draft("near_miss", site.text(), purpose)


def neutral(workshop: Workshop) -> Iterator[Draft]:
    """Text that was not chosen for anything, and text that resembles what fires."""
    for exemplar in workshop.contexts("random", "near_miss")[:8]:
        middle = Site(exemplar.tokens, len(exemplar.tokens) // 2)
        yield Draft("negative_control", middle.text(), "text that nothing was known about")
