"""Conclusion: the best-supported hypothesis in words, every claim with its observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphs.policies.protocols import Case, Dossier
from graphs.policies.symbolic.standing import Standing
from graphs.policies.symbolic.statements import labels
from graphs.records import Claim, Conclusion, Expectation, Hypothesis, HypothesisStatus
from tools.rules import Rule, rule_from_json

_MOST_WORDS = 60
"""Of a description."""
STANDING: Mapping[HypothesisStatus, int] = {
    "confirmed": 0,
    "refined": 1,
    "undecided": 1,
    "pending": 1,
    "refuted": 2,
    "dropped": 3,
}
"""What an explanation should rather rest on: the lower, the better."""


def conclude(dossier: Dossier, case: Case) -> Conclusion:
    """The explanation that the measurements support best."""
    standing = Standing(dossier, case)
    leader = _leader(case, standing)
    silences = [h for h in case.hypotheses if h.polarity == "inactive" and h.status == "confirmed"]
    tested = rule_from_json(leader.rule) if leader.rule is not None else None
    rule = standing.completed(tested) if tested else None
    refuted = leader.status == "refuted"
    named = labels(tested) if tested else (leader.statement,)
    return Conclusion(
        description=_description(leader, rule, standing),
        labels=() if refuted else named,
        not_on=tuple(map(_not_on, silences)),
        claims=tuple(_claims(case, leader, silences)),
        # Also of a refuted guess, which is said to be one: how far it agrees is measured.
        rule=rule.to_json() if rule else None,
    )


def _leader(case: Case, standing: Standing) -> Hypothesis:
    """What was confirmed comes first; among guesses, what agrees most with what was measured."""
    active = [h for h in case.hypotheses if h.polarity == "active"]
    confirmed = [h for h in active if h.status == "confirmed"]
    leader = standing.leader(confirmed or active)
    assert leader is not None, "somebody says what fires"
    return leader


def _description(leader: Hypothesis, rule: Rule | None, standing: Standing) -> str:
    if rule is None:
        return hedged(leader.statement, leader.status)
    agreement = standing.agreement(rule)
    left = _MOST_WORDS - len(hedged("Fires on", leader.status, agreement).split())
    said = f"Fires on {rule.sentence(standing.shares(rule), left)}."
    return hedged(said, leader.status, agreement)


def hedged(description: str, status: HypothesisStatus, agreement: float | None = None) -> str:
    """A description, said to be a guess where the status of what it rests on leaves it one.

    Args:
        description: a sentence.
        status: of the hypothesis that it is about.
        agreement: correlation of a guess with what was measured, where it can be had.
    """
    if status == "confirmed":
        return description
    lowered = description[:1].lower() + description[1:]
    measured = "" if agreement is None else f" (measured r = {agreement:.2f})"
    if status == "refuted":
        return f"Every guess was refuted; the best{measured}: {lowered}"
    return f"Nothing was confirmed; the best guess{measured}: {lowered}"


def _not_on(silence: Hypothesis) -> str:
    statement = silence.statement.removeprefix("Does not fire on ")
    return statement.removesuffix(".")


def _claims(case: Case, leader: Hypothesis, silences: Sequence[Hypothesis]) -> list[Claim]:
    claims = [
        _claim(case, leader, leader.statement, "active"),
        _claim(case, leader, "Stays silent on texts without it.", "inactive"),
        *(_claim(case, silence, silence.statement, "inactive") for silence in silences),
    ]
    return [claim for claim in claims if claim.observations]


def _claim(case: Case, hypothesis: Hypothesis, text: str, shows: Expectation) -> Claim:
    """A claim with the tests of the hypothesis that came out as predicted and as claimed."""
    held = (o for o in case.observations if o.hypothesis == hypothesis.id and o.supports)
    shown = tuple(o.id for o in held if o.outcome == shows)
    return Claim(text=text, shows=shows, observations=shown)
