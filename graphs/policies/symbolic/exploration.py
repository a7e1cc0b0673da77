"""Exploration: the few probes, of all that could be made, that tell most about the leading rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphs.policies.protocols import Case, Dossier
from graphs.policies.symbolic.drafts import FIRING, Workshop
from graphs.policies.symbolic.evidence import Evidence, tested_evidence
from graphs.policies.symbolic.induction import worth
from graphs.policies.symbolic.information import believed, most_telling
from graphs.policies.symbolic.probes import probes, sweeps, swept_words
from graphs.policies.symbolic.texts import (
    Draft,
    Site,
    TokenizedTexts,
    expectations,
    readable,
    shortest_span,
)
from graphs.records import Expectation
from tools.rules import Rule, rule_from_json

PROBED = 30
"""Probes of the leading rule in the first round."""
PROBED_LATER = 12
"""Probes in each later one."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A draft with what the leading rule predicts of it."""

    draft: Draft
    predicted: Expectation


def leader(dossier: Dossier, case: Case) -> str | None:
    """The open hypothesis that explains most of what was measured so far; None without a rule."""
    evidence = tested_evidence(dossier, case.observations)
    rules = {id: case.hypothesis(id).rule for id in case.open}
    values = {
        id: worth(rule_from_json(rule), evidence)
        for id, rule in rules.items()
        if rule is not None and case.hypothesis(id).polarity == "active"
    }
    return max(values, key=values.__getitem__, default=None)


def explored(workshop: Workshop, case: Case, room: int) -> list[Probe]:
    """At most `room` probes of the workshop's rule: those on which its variants disagree most.

    In the first round also a sweep of the vocabulary, which may show what no variant names.
    """
    first = not case.experiments
    evidence = tested_evidence(workshop.dossier, case.observations)
    sites = [*workshop.sites(workshop.rule), *_loudest(workshop)]
    if not sites:
        return []
    swept = list(_swept(workshop, sites[0])) if first else []
    drafts = list(readable(workshop.dossier.tokenization, probes(workshop, sites)))
    probed = _chosen(workshop, evidence, drafts, PROBED if first else PROBED_LATER)
    return [*probed, *swept][:room]


def _loudest(workshop: Workshop) -> Iterator[Site]:
    """Where the feature was measured to fire in test contexts, whatever any rule says."""
    for exemplar in workshop.contexts(*FIRING):
        yield Site(exemplar.tokens, exemplar.peak)


def _swept(workshop: Workshop, site: Site) -> Iterator[Probe]:
    span = shortest_span(workshop.rule, site)[:-1]
    words = swept_words(workshop)
    found = list(readable(workshop.dossier.tokenization, sweeps(workshop, span, words)))
    yield from _predicted(workshop.rule, found)


def _predicted(rule: Rule, found: Sequence[tuple[Draft, tuple[str, ...]]]) -> Iterator[Probe]:
    said = expectations(rule, TokenizedTexts.of([tokens for _, tokens in found]))
    for (draft, _), predicted in zip(found, said, strict=True):
        if predicted is not None:
            yield Probe(draft, predicted)


def _chosen(
    workshop: Workshop,
    evidence: Evidence,
    drafts: Sequence[tuple[Draft, tuple[str, ...]]],
    count: int,
) -> list[Probe]:
    """The drafts that tell most about the rule, its rivals and their variants."""
    rivals = believed([workshop.rule, *workshop.rivals[:2]], evidence)
    chosen = most_telling([tokens for _, tokens in drafts], rivals, count)
    return list(_predicted(workshop.rule, [drafts[index] for index in chosen]))
