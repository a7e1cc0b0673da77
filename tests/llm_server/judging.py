"""The analyzer and the reviewer: what measured texts say of the hypotheses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.llm_server.fitting import choices
from tests.llm_server.ideas import Idea, idea_of, pieces
from tests.llm_server.knowledge import knowledge
from tests.llm_server.reading import HypothesisRow, Passage, ResultRow, Sheet, passage
from tools.rules import CLASSES, visible

_FIRES = 5
"""Tenths of the scale from which a token counts as one that fires."""
_LITTLE = 16
"""Fewer results than this are little to go by."""
_MOST_CITED = 5
_MOST_TOKENS = 12
_MOST_LABELS = 3
_COUNTS = re.compile(r"(\d+)/\d+ predicted active and (\d+)/\d+ inactive held")
_OBSERVATION = re.compile(r"\bO\d+\.\d+\b")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A hypothesis, what it says, and the texts that were measured for it."""

    row: HypothesisRow
    idea: Idea
    results: tuple[tuple[ResultRow, Passage], ...]

    @property
    def confirmed(self) -> bool:
        """Whether it was confirmed."""
        return self.row.status == "confirmed"

    @property
    def held(self) -> int:
        """Predictions that held."""
        counts = _COUNTS.search(self.row.results)
        if counts is not None:
            return int(counts[1]) + int(counts[2])
        return sum(result.predicted == result.outcome for result, _ in self.results)

    def came_out(self, predicted: str, outcome: str) -> list[tuple[ResultRow, Passage]]:
        """Results of that prediction and outcome."""
        return [r for r in self.results if (r[0].predicted, r[0].outcome) == (predicted, outcome)]

    def fired(self, predicted: str) -> list[str]:
        """Tokens that clearly fired in active texts of that prediction, commonest first."""
        texts = [text for _, text in self.came_out(predicted, "active")]
        marks = Counter(m.token for text in texts for m in text.marks if m.tenths >= _FIRES)
        return [token for token, _ in marks.most_common()]


def verdicts(sheet: Sheet) -> list[Verdict]:
    """Every hypothesis shown, with its results."""
    read = [(result, passage(result.text)) for result in sheet.results]
    marked = [mark.token for _, text in read for mark in text.marks if mark.tenths >= _FIRES]
    tokens = list(dict.fromkeys([*knowledge(sheet).strengths, *marked]))
    return [
        Verdict(row, idea_of(row, tokens), tuple(r for r in read if r[0].hypothesis == row.id))
        for row in sheet.hypotheses
    ]


def analyze(sheet: Sheet, turn: int) -> dict[str, Any]:
    """An AnalyzerReply; from the second `turn` on without what was complained of, or any rule."""
    known = verdicts(sheet)
    strengths = knowledge(sheet).strengths
    asked = _among(known, choices(sheet.schema, "interpretations", "hypothesis"))
    parents = _among(known, choices(sheet.schema, "refinements", "parent"))
    due = [v for v in parents if v.row.status == "refined" and v.row.open]
    said = {verdict.row.statement for verdict in known}
    refinements: list[dict[str, Any]] = []
    for parent, idea in [*_children(due), *_suggested(known)]:
        refused = turn > 0 and parent is not None and parent in sheet.complaint
        if idea.statement() not in said and not refused:
            said.add(idea.statement())
            refinements.append(_refinement(parent, idea, strengths if turn == 0 else None))
    tested = [v for v in asked if v.results or v.row.open] or asked
    return {
        "interpretations": [{"hypothesis": v.row.id, "text": _meaning(v)} for v in tested],
        "refinements": refinements,
    }


def review(sheet: Sheet, turn: int) -> dict[str, Any]:
    """A ReviewerReply; from the second `turn` on without the observations complained of."""
    known = sorted(verdicts(sheet), key=_standing, reverse=True)
    bests = choices(sheet.schema, "best")
    best = next(iter(_among(known, bests)), None)
    sure = [v for v in known if v.confirmed and not v.idea.silent]
    refused = set(_OBSERVATION.findall(sheet.complaint)) if turn else set[str]()
    allowed = choices(sheet.schema, "claims", "observations")
    told = [v for v in sure if not _implied(v, sure[0])] or ([best] if best else [])
    little = not sure and turn == 0 and len(sheet.results) < _LITTLE
    testable = _among(known, choices(sheet.schema, "more_tests"))
    doubtful = [v.row.id for v in testable if v.row.status != "refuted" and not v.idea.silent]
    silent = [v for v in known if v.confirmed and v.idea.silent]
    return {
        "more_tests": doubtful[:2] if little else [],
        "best": best.row.id if best else (bests or ["H1"])[0],
        "description": " ".join(v.row.statement for v in told[:2]) or "Nothing was found.",
        "labels": list(dict.fromkeys(label for v in told for label in _labels(v.idea)))[:4],
        "not_on": [v.row.statement.removeprefix("Does not fire on ") for v in silent],
        "claims": list(_claims([*(sure or told), *silent], allowed, refused)),
    }


def _among(known: Sequence[Verdict], ids: Sequence[str] | None) -> list[Verdict]:
    return [verdict for verdict in known if ids is None or verdict.row.id in ids]


def _standing(verdict: Verdict) -> tuple[bool, bool, int]:
    active = not verdict.idea.silent
    return (active and verdict.confirmed, active and verdict.row.status != "refuted", verdict.held)


def _implied(verdict: Verdict, leader: Verdict) -> bool:
    """Whether it adds nothing to what the leading one says."""
    return verdict is not leader and set(verdict.idea.tokens) <= set(leader.idea.tokens)


def _children(due: Sequence[Verdict]) -> Iterator[tuple[str | None, Idea]]:
    for verdict in due:
        idea = _silenter(verdict) if verdict.idea.silent else _sharper(verdict)
        if idea is not None:
            yield verdict.row.id, idea


def _sharper(verdict: Verdict) -> Idea | None:
    """Without tokens that stayed silent, with those that fired unasked; else the likelier half.

    Where none of its tokens fired, it is where they were asked for that was wrong.
    """
    idea, fired = verdict.idea, verdict.fired("active")
    failed = [text.text for _, text in verdict.came_out("active", "inactive")]
    dropped = {t for t in idea.tokens if t not in fired and any(t in text for text in failed)}
    kept = [token for token in idea.tokens or fired if token not in dropped]
    wanted = tuple(dict.fromkeys([*kept, *verdict.fired("inactive")]))[:_MOST_TOKENS]
    if not wanted:
        return replace(idea, after=(), line_start=False) if idea.after or idea.line_start else None
    if wanted != idea.tokens:
        return Idea(wanted, after=idea.after, line_start=idea.line_start)
    if len(wanted) > 1:
        return replace(idea, tokens=wanted[: len(wanted) // 2])
    before = None if idea.after else _before(verdict)
    return replace(idea, after=(before,)) if before else None


def _silenter(verdict: Verdict) -> Idea | None:
    failed = [text.text for _, text in verdict.came_out("inactive", "active")]
    kept = tuple(t for t in verdict.idea.tokens if not any(t in text for text in failed))
    fewer = kept or verdict.idea.tokens[:1]
    return replace(verdict.idea, tokens=fewer) if fewer != verdict.idea.tokens else None


def _before(verdict: Verdict) -> str | None:
    peaks = [(text, text.peak) for _, text in verdict.came_out("active", "active")]
    before = Counter(pieces(text.text[: m.start])[-1] for text, m in peaks if m and m.start)
    return next((piece for piece, _ in before.most_common() if piece.strip()), None)


def _suggested(known: Sequence[Verdict]) -> Iterator[tuple[str | None, Idea]]:
    """What fired though nobody who is not refuted said so, while nothing active is confirmed."""
    active = [v for v in known if not v.idea.silent]
    if any(v.confirmed for v in active):
        return
    said = {token for v in active if v.row.status != "refuted" for token in v.idea.tokens}
    fired = [token for v in known for p in ("inactive", "active") for token in v.fired(p)]
    new = tuple(token for token in dict.fromkeys(fired) if token not in said)
    if new:
        yield None, Idea(new[:_MOST_TOKENS])


def _refinement(
    parent: str | None, idea: Idea, strengths: Mapping[str, float] | None
) -> dict[str, Any]:
    return {
        "parent": parent,
        "statement": idea.statement(),
        "polarity": idea.polarity,
        "rule": None if strengths is None else idea.rule(strengths),
    }


def _meaning(verdict: Verdict) -> str:
    unasked = [visible(token) for token in verdict.fired("inactive")[:_MOST_LABELS]]
    if unasked:
        return f"It also fires where this says it does not, on {', '.join(unasked)}."
    if verdict.came_out("active", "inactive"):
        return "Some texts that fit it stayed silent: it says too much."
    return "The texts came out as it says." if verdict.results else "Nothing was measured for it."


def _labels(idea: Idea) -> list[str]:
    if not idea.tokens:
        return [CLASSES[idea.token_class].noun if idea.token_class else "text by its place"]
    shown = [visible(token) for token in idea.tokens]
    if len(shown) > _MOST_LABELS:
        return [f"tokens such as {', '.join(shown[:_MOST_LABELS])}"]
    return [f"the token {token}" for token in shown]


def _claims(
    told: Sequence[Verdict], allowed: Sequence[str] | None, refused: set[str]
) -> Iterator[dict[str, Any]]:
    for verdict in told:
        for shows, words in (("active", "It fires"), ("inactive", "It stays silent")):
            came = [result.id for result, _ in verdict.came_out(shows, shows)]
            ids = [id for id in came if (allowed is None or id in allowed) and id not in refused]
            if ids:
                text = f"{words} where this says so: {verdict.row.statement}"
                yield {"text": text, "shows": shows, "observations": ids[:_MOST_CITED]}
