"""Experiment design: of all texts that could be made, those on which the rivals disagree."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np

from graphs.policies.protocols import Case, Dossier
from graphs.policies.symbolic.drafts import FIRING, Workshop, drafts, silent_drafts
from graphs.policies.symbolic.exploration import explored, leader
from graphs.policies.symbolic.texts import (
    Draft,
    Library,
    Site,
    TokenizedTexts,
    expectations,
    read,
    readable,
)
from graphs.records import Design, Expectation, ExperimentKind, Hypothesis, Trial
from tools.rules import Rule, rule_from_json

TEXTS_PER_HYPOTHESIS = 8
_TURNS: tuple[ExperimentKind, ...] = (
    "positive",
    "minimal_pair",
    "negative_control",
    "near_miss",
    "positive",
    "context_ablation",
)
"""Order in which kinds are taken; plain positives come twice as often."""
MOST_OWN = 24
"""Tokens of the feature's table that are worth swapping in."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A draft that says something of the hypothesis."""

    draft: Draft
    predicted: Expectation
    disagreement: int
    """Rivals that predict the opposite."""
    partner: Trial | None = None
    """The other half of a minimal pair."""


def design_experiments(
    dossier: Dossier, case: Case, room: int, *, explores: bool = True
) -> list[Design]:
    """Texts for each open hypothesis, both predictions and all kinds where they can be had.

    Args:
        dossier: what is known of the feature.
        case: how far the investigation has come.
        room: most texts.
        explores: whether the leading hypothesis gets texts to learn from besides.
    """
    share = min(TEXTS_PER_HYPOTHESIS, max(1, room // max(1, len(case.open))))
    designs: list[Design] = []
    planner = _Planner(dossier, case)
    leading = leader(dossier, case) if explores else None
    for id in case.open:
        hypothesis = case.hypothesis(id)
        used = {
            e.text for e in case.experiments if e.hypothesis == id or e.round <= hypothesis.round
        }
        found = [c for c in planner.candidates(hypothesis) if c.draft.text not in used]
        chosen = _chosen(found, min(share, room))
        if id == leading:
            known = used | {c.draft.text for c in chosen}
            probes = planner.probes(hypothesis, room // 2)
            chosen += [c for c in probes if c.draft.text not in known]
        for design in _designs(id, chosen):
            trials = design.trials[:room]
            room -= len(trials)
            designs.append(design.model_copy(update={"trials": trials}))
    return designs


class _Planner:
    """What all open hypotheses of a round share."""

    def __init__(self, dossier: Dossier, case: Case) -> None:
        self.dossier = dossier
        self.case = case
        self.test = Library(dossier.contexts)
        self.own_words, self.ordinary_words = _words(dossier)

    def candidates(self, hypothesis: Hypothesis) -> Iterator[Candidate]:
        """Texts that say something of a hypothesis."""
        if hypothesis.rule is None:
            return _without_rule(self.dossier, hypothesis, self._rng(hypothesis))
        workshop = self._workshop(hypothesis, rule_from_json(hypothesis.rule))
        silent = hypothesis.polarity == "inactive"
        return _silent_candidates(workshop) if silent else _candidates(workshop)

    def probes(self, hypothesis: Hypothesis, room: int) -> list[Candidate]:
        """Texts to learn from what it takes to fire, with what the hypothesis says of them."""
        workshop = self._workshop(hypothesis, rule_from_json(hypothesis.rule))
        probes = explored(workshop, self.case, room)
        return [Candidate(probe.draft, probe.predicted, 0) for probe in probes]

    def _workshop(self, hypothesis: Hypothesis, rule: Rule) -> Workshop:
        return Workshop(
            dossier=self.dossier,
            rule=rule,
            rivals=_rival_rules(self.case, hypothesis),
            own_words=self.own_words,
            ordinary_words=self.ordinary_words,
            rng=self._rng(hypothesis),
            test=self.test,
        )

    def _rng(self, hypothesis: Hypothesis) -> np.random.Generator:
        return np.random.default_rng([self.dossier.seed, self.case.round, *hypothesis.id.encode()])


def _rival_rules(case: Case, hypothesis: Hypothesis) -> list[Rule]:
    """What the other hypotheses that are not refuted say will fire."""
    return [
        rule_from_json(other.rule)
        for other in case.hypotheses
        if other.id != hypothesis.id
        and other.rule is not None
        and other.polarity == "active"
        and other.status in ("pending", "confirmed")
    ]


def _words(dossier: Dossier) -> tuple[list[str], list[str]]:
    """The feature's own tokens, and tokens of the contexts where it is silent."""
    own = [row.token for row in dossier.token_table[:MOST_OWN] if "\ufffd" not in row.token]
    quiet = {t for c in dossier.contexts if c.band in ("random", "near_miss") for t in c.tokens}
    ordinary = [t for t in sorted(quiet - set(own)) if t.strip() and "\ufffd" not in t]
    return own, ordinary


def _candidates(workshop: Workshop) -> Iterator[Candidate]:
    found = list(readable(workshop.dossier.tokenization, drafts(workshop)))
    texts = TokenizedTexts.of([tokens for _, tokens in found])
    # Of what would fire before the token that it is about, nothing could be learnt.
    earlier = [tokens[:-1] if draft.ending is not None else () for draft, tokens in found]
    too_early = expectations(workshop.rule, TokenizedTexts.of(earlier))
    others = [expectations(rival, texts) for rival in workshop.rivals]
    partners = _partners(workshop, [draft for draft, _ in found])
    for place, predicted in enumerate(expectations(workshop.rule, texts)):
        if predicted is not None and too_early[place] != "active":
            draft, _ = found[place]
            disputed = sum(said[place] not in (None, predicted) for said in others)
            kind = _kind(draft.kind, predicted, disputed)
            partner = partners.get(draft.original)
            yield Candidate(replace(draft, kind=kind), predicted, disputed, partner)


def _partners(workshop: Workshop, pairs: Sequence[Draft]) -> dict[str, Trial]:
    """The unchanged texts of minimal pairs, where the rule still says something of them."""
    unchanged = (Draft(pair.kind, pair.original, pair.purpose) for pair in pairs)
    found = list(readable(workshop.dossier.tokenization, unchanged))
    said = expectations(workshop.rule, TokenizedTexts.of([tokens for _, tokens in found]))
    return {
        draft.text: Trial(text=draft.text, predicted=predicted)
        for (draft, _), predicted in zip(found, said, strict=True)
        if predicted is not None
    }


def _kind(planned: ExperimentKind, predicted: Expectation, disputed: int) -> ExperimentKind:
    """What a draft turned out to be, once the rule and its rivals were executed on it."""
    if planned not in ("positive", "near_miss", "negative_control"):
        return planned
    if predicted == "active":
        return "positive"
    return "near_miss" if disputed else "negative_control"


def _silent_candidates(workshop: Workshop) -> Iterator[Candidate]:
    """Texts that hold what is said not to fire, and nothing that a rival expects to fire."""
    found = list(readable(workshop.dossier.tokenization, silent_drafts(workshop)))
    texts = TokenizedTexts.of([tokens for _, tokens in found])
    others = [expectations(rival, texts) for rival in workshop.rivals[:2]]
    for place, said in enumerate(expectations(workshop.rule, texts)):
        if said == "active" and all(other[place] != "active" for other in others):
            draft, _ = found[place]
            yield Candidate(Draft("near_miss", draft.text, draft.purpose), "inactive", len(others))


def _without_rule(
    dossier: Dossier, hypothesis: Hypothesis, rng: np.random.Generator
) -> Iterator[Candidate]:
    """Another policy's hypothesis: corpus contexts that fired, and some that did not."""
    expected: dict[bool, Expectation] = {True: "active", False: "inactive"}
    for index in rng.permutation(len(dossier.contexts)):
        exemplar = dossier.contexts[int(index)]
        fires = exemplar.band in FIRING
        if not fires and exemplar.max_activation > 0:
            continue
        kind: ExperimentKind = "positive" if fires else "negative_control"
        text = Site(exemplar.tokens, exemplar.peak).text()
        draft = Draft(kind, text, "a context of the corpus")
        if read(dossier.tokenization, draft):
            predicted = expected[fires and hypothesis.polarity == "active"]
            yield Candidate(draft, predicted, 0)


def _chosen(candidates: Iterable[Candidate], room: int) -> list[Candidate]:
    """Half of each prediction where possible; kinds in turn, disagreement first."""
    found = list(candidates)
    active = _by_turns([c for c in found if c.predicted == "active"])
    silent = _evenly(_by_turns([c for c in found if c.predicted == "inactive"]))
    half = (room + 1) // 2
    taken = [*active[:half], *silent[: room - min(half, len(active))]]
    return [*taken, *active[half : half + room - len(taken)]]


def _evenly(silent: Sequence[Candidate]) -> list[Candidate]:
    """Texts that a rival expects to fire, or that were drawn because they do, and others in turn.

    By the first alone, a hypothesis that is right of a part of what fires would be refuted for the
    rest, which it does not speak of: it is to be extended.
    """
    hard = [c for c in silent if c.disagreement or c.draft.sampled]
    plain = [c for c in silent if not (c.disagreement or c.draft.sampled)]
    pairs = zip_longest(hard[: len(plain) + 1], plain)
    return [candidate for pair in pairs for candidate in pair if candidate is not None]


def _by_turns(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Samples first, then kinds in turn, of each the most disputed first."""
    queues: dict[ExperimentKind, deque[Candidate]] = {kind: deque() for kind in _TURNS}
    for candidate in sorted(candidates, key=lambda c: -c.disagreement):
        if not candidate.draft.sampled:
            queues[candidate.draft.kind].append(candidate)
    # A sample that the hypothesis misses counts against it every time; one that it covers is one
    # positive among others, or a hypothesis that covers everything would never be caught.
    sampled = [candidate for candidate in candidates if candidate.draft.sampled]
    ordered = [c for i, c in enumerate(sampled) if i == 0 or c.predicted == "inactive"]
    while any(queues.values()):
        ordered.extend(queues[kind].popleft() for kind in _TURNS if queues[kind])
    return ordered


def _designs(hypothesis: str, chosen: Sequence[Candidate]) -> list[Design]:
    """One design for each kind and purpose."""
    groups: dict[tuple[ExperimentKind, str], list[Trial]] = {}
    for candidate in chosen:
        trials = groups.setdefault((candidate.draft.kind, candidate.draft.purpose), [])
        if candidate.partner is not None and candidate.partner not in trials:
            trials.append(candidate.partner)
        trials.append(Trial(text=candidate.draft.text, predicted=candidate.predicted))
    return [
        Design(hypothesis=hypothesis, kind=kind, trials=tuple(trials), purpose=purpose)
        for (kind, purpose), trials in groups.items()
    ]
