"""The Analyzer: what a round's results say, and hypotheses reworded by them, in one reply.

Both of its nodes put the same request in the same role, so that one paid call serves them: it is
made only of what they see alike, the hypotheses as judged and the experiments of the round.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from graphs.policies.language_model.case_rows import hypothesis_rows, most_telling, result_rows
from graphs.policies.language_model.exhibits import feature_rows, threshold_values, token_rows
from graphs.policies.language_model.proposing import same
from graphs.policies.language_model.replies import AnalyzerReply, Rewording, analyzer_reply
from graphs.policies.language_model.rule_check import Contradicted, RuleCheck
from graphs.policies.language_model.words import clean, shortened
from graphs.policies.protocols import Case, Dossier
from graphs.records import Hypothesis, Interpretation, Proposal, Refinement, Setback
from tools.errors import UnusableReply
from tools.llm.data_blocks import data_block, fitting
from tools.llm.language_model import Prompt, Question
from tools.llm.prompt_files import PromptFile
from tools.rules import CLASSES

MOST_NEW = 2
"""Hypotheses beside the first ones that the evidence may suggest, over the whole investigation."""
MOST_GENERATIONS = 2
"""How often a hypothesis may be reworded: each time costs a round."""
_TOKENS = 20
_LONGEST = 500
"""Characters of an interpretation."""
_WORDS = 300
"""Of them, those in the model's words."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """The Analyzer's reply, with what cannot be used left out."""

    interpretations: Mapping[str, str]
    """Words by hypothesis."""
    refinements: tuple[Refinement, ...]
    setbacks: tuple[Setback, ...]
    """Hypotheses whose rewording says nothing new."""

    def interpreted(self, fact: Interpretation) -> Interpretation:
        """The counted facts of a hypothesis, and behind them what the model reads out of them."""
        words = self.interpretations.get(fact.hypothesis)
        if words is None:
            return fact
        facts = shortened(fact.text, _LONGEST - len(words) - 1)
        return fact.model_copy(update={"text": f"{facts} {words}"})


@dataclass(frozen=True, slots=True)
class Round:
    """What the latest round was about."""

    tested: tuple[Hypothesis, ...]
    """With experiments of this round."""
    due: tuple[Hypothesis, ...]
    """Of these, the ones to be reworded."""
    new: int
    """Further hypotheses that may be proposed."""
    wordy: bool
    """Whether words are needed: the counted facts leave a question open."""


def latest_round(case: Case) -> Round:
    """The latest round as both nodes see it."""
    ids = {e.hypothesis for e in case.experiments if e.round == case.round}
    tested = tuple(h for h in case.hypotheses if h.id in ids)
    parents = {h.parent for h in case.hypotheses}
    due = tuple(
        h for h in tested if h.status == "refined" and h.id not in parents and rewordable(case, h)
    )
    later = sum(h.round > 0 and h.parent is None for h in case.hypotheses)
    confirmed = [h for h in case.hypotheses if h.status == "confirmed" and h.polarity == "active"]
    puzzling = any(h.status == "confirmed" and h.contradicting for h in tested)
    new = max(0, MOST_NEW - later)
    unexplained = not confirmed and new > 0
    return Round(tested, due, new, wordy=bool(tested) and (bool(due) or puzzling or unexplained))


def rewordable(case: Case, hypothesis: Hypothesis) -> bool:
    """Whether it was not reworded too often already."""
    generations = 0
    while hypothesis.parent is not None:
        hypothesis, generations = case.hypothesis(hypothesis.parent), generations + 1
    return generations < MOST_GENERATIONS


def analyzer_question(prompt: PromptFile, dossier: Dossier, case: Case) -> Question[Analysis]:
    """Ask what the latest round's results mean; the same for both nodes."""
    about = latest_round(case)

    def read(reply: AnalyzerReply, last: bool) -> Analysis:
        return _Reader(case, about, RuleCheck(dossier), last).analysis(reply)

    return Question(
        role="analyzer",
        feature=dossier.feature,
        prompt=_filled(prompt, dossier, case, about),
        reply=analyzer_reply(_ids(about.tested), _ids(about.due)),
        read=read,
    )


def _ids(hypotheses: Iterable[Hypothesis]) -> tuple[str, ...]:
    return tuple(h.id for h in hypotheses)


def _filled(prompt: PromptFile, dossier: Dossier, case: Case, about: Round) -> Prompt:
    due = _ids(about.due)
    others = [h for h in case.hypotheses if h not in about.tested]
    hypotheses = [
        *hypothesis_rows(about.tested, open=due),
        *fitting(hypothesis_rows(others), 2000),
    ]
    # Those to be reworded need their results seen most.
    ordered = sorted(about.tested, key=lambda h: h.id not in due)
    results = most_telling(case, ordered)
    return prompt.fill(
        {
            "feature": data_block("feature", feature_rows(dossier)),
            "tokens": data_block("tokens", fitting(token_rows(dossier, _TOKENS), 1500)),
            "hypotheses": data_block("hypotheses", hypotheses),
            "results": data_block("results", result_rows(dossier, case, results, 3800, 130)),
            "token_classes": ", ".join(CLASSES),
            **threshold_values(dossier),
            "due": ", ".join(due) or "none",
            "new": str(about.new),
        }
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns a reply into an analysis."""

    case: Case
    about: Round
    check: RuleCheck
    last: bool

    def analysis(self, reply: AnalyzerReply) -> Analysis:
        tested = set(_ids(self.about.tested))
        strangers = sorted({r.hypothesis for r in reply.interpretations} - tested)
        if strangers and not self.last:
            raise UnusableReply(
                f"There is nothing to interpret for {clean(', '.join(strangers), 80)}; "
                f"tested were {', '.join(_ids(self.about.tested))}."
            )
        words = {r.hypothesis: clean(r.text, _WORDS) for r in reply.interpretations}
        known: list[Proposal] = list(self.case.hypotheses)
        children = list(self._made(self._due(reply)))
        fresh = [child for child in children if _added(child, known)]
        new = self._made(r for r in reply.refinements if r.parent is None)
        stale = {child.parent for child in children} - {child.parent for child in fresh}
        reason = "its rewording says what an earlier hypothesis says"
        return Analysis(
            interpretations={id: text for id, text in words.items() if id in tested and text},
            refinements=(*fresh, *islice((r for r in new if _added(r, known)), self.about.new)),
            setbacks=tuple(
                Setback(hypothesis=h.id, reason=reason) for h in self.about.due if h.id in stale
            ),
        )

    def _due(self, reply: AnalyzerReply) -> list[Rewording]:
        """One rewording for each hypothesis that is due, the first of several."""
        children = {r.parent: r for r in reversed(reply.refinements) if self._is_due(r)}
        return list(reversed(children.values()))

    def _made(self, rewordings: Iterable[Rewording]) -> Iterator[Refinement]:
        """Rewordings with their rules checked, without those that the corpus contradicts.

        At the last try also without those of no use.
        """
        for rewording in rewordings:
            try:
                proposal = self.check.proposal(
                    rewording.statement, rewording.polarity, rewording.rule, last=self.last
                )
            except Contradicted:
                continue
            except UnusableReply:
                if not self.last:
                    raise
                continue
            yield Refinement(proposal=proposal, parent=rewording.parent)

    def _is_due(self, rewording: Rewording) -> bool:
        if rewording.parent is None:
            return False
        due = _ids(self.about.due)
        if rewording.parent not in due and not self.last:
            raise UnusableReply(
                f"{clean(rewording.parent, 20)!r} is not to be reworded; to be reworded: "
                f"{', '.join(due) or 'none'}. A new hypothesis has parent null."
            )
        return rewording.parent in due


def _added(refinement: Refinement, known: list[Proposal]) -> bool:
    """Add a proposal to the known ones; False if one of them says the same."""
    if any(same(refinement.proposal, other) for other in known):
        return False
    known.append(refinement.proposal)
    return True
