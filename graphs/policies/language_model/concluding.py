"""The Reviewer: more tests or the explanation, in one reply that serves both of its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from graphs.citations import cited_observations
from graphs.policies.language_model.case_rows import hypothesis_rows, most_telling, result_rows
from graphs.policies.language_model.exhibits import feature_rows, token_rows
from graphs.policies.language_model.replies import CitedClaim, ReviewerReply, reviewer_reply
from graphs.policies.language_model.unbacked import (
    names_what_fires,
    references,
    without_references,
)
from graphs.policies.language_model.words import clean
from graphs.policies.protocols import Case, Dossier
from graphs.policies.symbolic.conclusion import STANDING, hedged
from graphs.records import Claim, Conclusion, Hypothesis
from tools.errors import EvidenceError, UnusableReply
from tools.llm.data_blocks import data_block, fitting
from tools.llm.language_model import Question
from tools.llm.prompt_files import PromptFile
from tools.rules import rule_from_json

MOST_REQUESTS = 3
_TOKENS = 15
_MOST_LISTED = 6
_MOST_CLAIMS = 12


@dataclass(frozen=True, slots=True)
class Judgement:
    """The Reviewer's reply: what to test further, and the explanation as it stands."""

    requests: tuple[str, ...]
    conclusion: Conclusion


def reviewer_question(prompt: PromptFile, dossier: Dossier, case: Case) -> Question[Judgement]:
    """Ask whether the evidence is enough, and for the explanation; alike for both nodes."""
    telling = most_telling(case, _by_standing(case))
    results = result_rows(dossier, case, telling, 6000, 120)

    def read(reply: ReviewerReply, last: bool) -> Judgement:
        return _Reader(case, last).judgement(reply)

    return Question(
        role="reviewer",
        feature=dossier.feature,
        prompt=prompt.fill(
            {
                "feature": data_block("feature", feature_rows(dossier)),
                "tokens": data_block("tokens", fitting(token_rows(dossier, _TOKENS), 1100)),
                "hypotheses": data_block(
                    "hypotheses", fitting(hypothesis_rows(_by_standing(case)), 4000)
                ),
                "results": data_block("results", results),
                "most_requests": str(MOST_REQUESTS),
            }
        ),
        reply=reviewer_reply(
            tuple(h.id for h in _testable(case)),
            tuple(h.id for h in _leaders(case)),
            tuple(row["id"] for row in results),
        ),
        read=read,
    )


def _by_standing(case: Case) -> list[Hypothesis]:
    return sorted(case.hypotheses, key=lambda h: (STANDING[h.status], h.polarity == "inactive"))


def _leaders(case: Case) -> list[Hypothesis]:
    """What the explanation may rest on: what is confirmed, else what is not refuted, if any is."""
    active = [h for h in _by_standing(case) if h.polarity == "active"]
    best = min((STANDING[h.status] for h in active), default=0)
    return [h for h in active if STANDING[h.status] == best]


def _testable(case: Case) -> list[Hypothesis]:
    """All but those that another wording took the place of."""
    parents = {h.parent for h in case.hypotheses}
    return [h for h in case.hypotheses if h.id not in parents]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns a reply into a judgement."""

    case: Case
    last: bool

    def judgement(self, reply: ReviewerReply) -> Judgement:
        testable = [h.id for h in _testable(self.case)]
        requests = [id for id in dict.fromkeys(reply.more_tests) if id in testable]
        if len(requests) < len(set(reply.more_tests)) and not self.last:
            raise UnusableReply(f"more_tests may name {', '.join(testable)} only.")
        return Judgement(tuple(requests[:MOST_REQUESTS]), self._conclusion(reply))

    def _conclusion(self, reply: ReviewerReply) -> Conclusion:
        leader = self._leader(reply)
        description = self._worded(reply.description, 600)
        if not description:
            raise UnusableReply("The description is empty; say in a sentence what it fires on.")
        claims = self._claims(reply)
        refuted = leader.status == "refuted"
        return Conclusion(
            description=hedged(description, leader.status),
            labels=() if refuted else self._listed(reply.labels, 80),
            not_on=self._not_on(reply, leader, claims),
            claims=claims,
            rule=None if refuted else leader.rule,
        )

    def _own_evidence(self, reply: ReviewerReply) -> list[str]:
        """What is wrong with words that bring evidence of their own; it is cited by id, elsewhere.

        At the last try such words are not refused but left out.
        """
        texts = (reply.description, *reply.labels, *reply.not_on, *(c.text for c in reply.claims))
        named = list(dict.fromkeys(chain.from_iterable(map(references, texts))))
        if not named:
            return []
        return [
            "The description, labels, not_on and texts of claims must be without ids and decimal "
            f"numbers such as {', '.join(named[:_MOST_LISTED])}: ids belong into observations and "
            "more_tests; put tokens in single quotes."
        ]

    def _worded(self, text: str, longest: int) -> str:
        return clean(without_references(text), longest)

    def _listed(self, texts: Sequence[str], longest: int) -> tuple[str, ...]:
        """The first texts, each once, without empty ones."""
        worded = (self._worded(text, longest) for text in texts)
        return tuple(dict.fromkeys(filter(None, worded)))[:_MOST_LISTED]

    def _not_on(
        self, reply: ReviewerReply, leader: Hypothesis, claims: Sequence[Claim]
    ) -> tuple[str, ...]:
        """What is said to stay silent, if some claim shows it and the explanation lets it."""
        if not any(claim.shows == "inactive" for claim in claims):
            return ()
        items = self._listed(reply.not_on, 160)
        if leader.status != "confirmed" or leader.rule is None:
            return items
        rule = rule_from_json(leader.rule)
        return tuple(item for item in items if not names_what_fires(item, rule))

    def _leader(self, reply: ReviewerReply) -> Hypothesis:
        leaders = {h.id: h for h in _leaders(self.case)}
        if reply.best in leaders:
            return leaders[reply.best]
        if self.last:
            return max(leaders.values(), key=lambda h: len(h.supporting))
        raise UnusableReply(
            f"best is {clean(reply.best, 20)!r}; the measurements leave: {', '.join(leaders)}."
        )

    def _claims(self, reply: ReviewerReply) -> tuple[Claim, ...]:
        """The claims that the observations under them show.

        Raises:
            UnusableReply: one is not shown, or, if this is the `last` try, none shows what was
                confirmed.
        """
        claims: list[Claim] = []
        troubles = self._own_evidence(reply)
        for number, cited in enumerate(reply.claims[:_MOST_CLAIMS], 1):
            claim = self._claim(cited)
            if trouble := self._unshown(claim, number):
                troubles.append(trouble)
            else:
                claims.append(claim)
        if not all(claim.text for claim in claims):
            troubles.append("A claim has an empty text.")
        if troubles and not self.last:
            raise UnusableReply(" ".join(troubles))
        worded = [claim for claim in claims if claim.text]
        self._check_confirmed(worded)
        return tuple(worded)

    def _claim(self, cited: CitedClaim) -> Claim:
        ids = tuple(dict.fromkeys(clean(id, 20) for id in cited.observations))
        if self.last:
            shown = {o.id for o in self.case.observations if o.outcome == cited.shows}
            ids = tuple(id for id in ids if id in shown)
        return Claim(text=self._worded(cited.text, 300), shows=cited.shows, observations=ids)

    def _unshown(self, claim: Claim, number: int) -> str:
        """Why the observations under a claim do not show it; empty if they do."""
        # What is wrong is told by number: the model's own words are not to come back as ours.
        bare = Conclusion(
            description="",
            labels=(),
            not_on=(),
            claims=(claim.model_copy(update={"text": f"number {number}"}),),
        )
        try:
            cited_observations(bare, self.case.observations)
        except EvidenceError as error:
            return str(error)
        return ""

    def _check_confirmed(self, claims: Sequence[Claim]) -> None:
        """Refuse an explanation that says nothing of what was confirmed to fire."""
        confirmed = {
            h.id for h in self.case.hypotheses if h.status == "confirmed" and h.polarity == "active"
        }
        showing = {
            o.id
            for o in self.case.observations
            if o.hypothesis in confirmed and o.outcome == "active"
        }
        if showing and not any(showing & set(claim.observations) for claim in claims):
            raise UnusableReply(
                "No claim shows what the feature fires on: cite results of "
                f"{' or '.join(sorted(confirmed))} that came out active."
            )
