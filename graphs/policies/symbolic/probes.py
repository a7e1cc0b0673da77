"""Probes: one thing changed in a context that fires, to learn what it takes to fire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from graphs.policies.symbolic.drafts import NEUTRAL, Workshop
from graphs.policies.symbolic.texts import LEFT, Draft, Site
from tools.activations import Tokenization
from tools.rules import CLASSES, count, fold, visible

SITES = 4
"""Contexts that are changed."""
NEAREST = 12
"""Tokens before the trigger that are taken away one at a time."""
APART = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24)
"""Neutral tokens put between the trigger and what stands before it."""
FIRST = 10
"""Places at the start of a text that a trigger is tried in."""
_DRAWN = 1200
"""Vocabulary ids that are looked at: a fixed number, however large the vocabulary."""
_OF_A_CLASS = 6
"""Tokens of each class that are swapped in."""
SWEPT = 12
"""Tokens that one text of a sweep holds."""
SWEEPS = 10
"""Texts of a sweep."""
GAP = 3
"""Tokens of unrelated text that keep what is swept apart."""


def probes(workshop: Workshop, here: Sequence[Site]) -> Iterator[Draft]:
    """Every change of some contexts that a rule might be wrong about."""
    sites = _various(here)
    words = [*swept_words(workshop)]
    for site in sites:
        yield from _swapped(site, words)
        yield from _without(site)
        yield from _apart(site, workshop)
    for site in sites[:2]:
        yield from _early(site, workshop)


def _various(here: Sequence[Site]) -> list[Site]:
    """Sites of different triggers where there are any."""
    first = {site.token: site for site in reversed(here)}
    return [*first.values(), *(site for site in here if first[site.token] is not site)][:SITES]


def _swapped(site: Site, words: Sequence[str]) -> Iterator[Draft]:
    """The trigger for another token."""
    for word in words:
        if word != site.token:
            purpose = f"{visible(site.token)} replaced by others"
            text = site.with_token(word).text(right=0)
            yield Draft("minimal_pair", text, purpose, ending=word)


def _without(site: Site) -> Iterator[Draft]:
    """One token of the context fewer, or all that stand before some token."""
    for back in range(1, min(site.at, NEAREST) + 1):
        at = site.at - back
        tokens = (*site.tokens[max(0, site.at - LEFT) : at], *site.tokens[at + 1 : site.at + 1])
        purpose = f"{visible(site.token)} with one token before it taken away"
        yield Draft("context_ablation", "".join(tokens), purpose, ending=site.token)
        purpose = f"{visible(site.token)} after {count(back, 'token')}"
        yield Draft("context_ablation", site.text(back, 0), purpose, ending=site.token)


def _apart(site: Site, workshop: Workshop) -> Iterator[Draft]:
    """Neutral tokens between the trigger and what stands before it."""
    before = site.tokens[max(0, site.at - LEFT // 2) : site.at]
    for exemplar in workshop.contexts("random")[:2]:
        for distance in APART:
            between = exemplar.tokens[:distance]
            purpose = f"{visible(site.token)} further away from what stands before it"
            text = "".join((*before, *between, site.token))
            yield Draft("context_ablation", text, purpose, ending=site.token)


def _early(site: Site, workshop: Workshop) -> Iterator[Draft]:
    """The trigger so many tokens after the start of a text that nothing was known about."""
    for exemplar in workshop.contexts("random")[:2]:
        for place in range(FIRST):
            purpose = f"{visible(site.token)} near the start of a text"
            text = "".join((*exemplar.tokens[:place], site.token))
            yield Draft("context_ablation", text, purpose, ending=site.token)


def swept_words(workshop: Workshop) -> list[str]:
    """Tokens to try in a trigger's place: its own, other spellings, some of every class."""
    own = list(workshop.own_words)
    known = {fold(word) for word in own}
    drawn = _drawn(workshop.dossier.tokenization, workshop.rng)
    common = workshop.shuffled(workshop.ordinary_words)
    chosen = dict.fromkeys(own)
    for kind in CLASSES.values():
        members = [word for word in chain(common, drawn) if kind.holds(word)]
        # Common tokens first: what a model hardly ever read says little of what it learned.
        chosen.update(dict.fromkeys(members[:_OF_A_CLASS]))
    spellings = [word for word in chain(common, drawn) if fold(word) in known]
    return [word for word in {**chosen, **dict.fromkeys(spellings)} if "\ufffd" not in word]


def _drawn(tokenization: Tokenization, rng: np.random.Generator) -> list[str]:
    size = tokenization.info.vocabulary_size
    ids = rng.choice(size, size=min(size, _DRAWN), replace=False)
    return [surface for surface in tokenization.surfaces(ids.tolist()) if surface]


def sweeps(workshop: Workshop, span: Sequence[str], words: Sequence[str]) -> Iterator[Draft]:
    """Many tokens in one text, each behind the same short context.

    Args:
        workshop: what the texts are made from.
        span: the tokens that stand before the trigger where it fires; none, if it needs none.
        words: tokens to try in the trigger's place.
    """
    quiet = workshop.contexts("random")
    window = workshop.dossier.tokenization.window_size
    held = min(SWEPT, (window - NEUTRAL) // (len(span) + GAP + 1))
    if held < 1:
        return
    for number, begin in enumerate(range(0, min(len(words), SWEEPS * held), held)):
        lead = quiet[number % len(quiet)].tokens if quiet else ()
        gap = lead[1 : 1 + GAP]
        parts = chain.from_iterable((*gap, *span, word) for word in words[begin : begin + held])
        text = "".join((*lead[:NEUTRAL], *parts))
        yield Draft("near_miss", text, "many tokens in the place of the trigger")
