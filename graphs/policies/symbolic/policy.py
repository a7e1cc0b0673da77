"""All five roles, each in its own module."""

from __future__ import annotations

from graphs.policies.protocols import Case, Dossier
from graphs.policies.symbolic import analysis, conclusion, experiments, refinement
from graphs.policies.symbolic.evidence import corpus_evidence
from graphs.policies.symbolic.rivals import rivals
from graphs.policies.symbolic.silence import silent_rules
from graphs.policies.symbolic.statements import propose, propose_silence
from graphs.records import Conclusion, Design, Interpretation, Proposal, Refinement, Review


class SymbolicPolicy:
    """Explains a feature by rules over tokens; the same dossier and case give the same answer."""

    explores = True
    """Whether texts are made to learn from, besides those that test what is said already."""

    def generate_hypotheses(self, dossier: Dossier) -> list[Proposal]:
        """Rival rules from the propose split, and what must not fire."""
        evidence = corpus_evidence(dossier)
        found = [rival.rule for rival in rivals(dossier, evidence)]
        silent = silent_rules(found, evidence)
        return [*map(propose, found), *map(propose_silence, silent)]

    def design_experiments(self, dossier: Dossier, case: Case, room: int) -> list[Design]:
        """Edited corpus texts on which the open hypotheses disagree."""
        return experiments.design_experiments(dossier, case, room, explores=self.explores)

    def analyze_evidence(self, dossier: Dossier, case: Case) -> list[Interpretation]:
        """What fired and what did not, with the measured numbers."""
        return analysis.analyze_evidence(dossier, case)

    def refine_hypotheses(self, dossier: Dossier, case: Case) -> list[Refinement]:
        """Rules improved by what was measured."""
        return refinement.refine_hypotheses(dossier, case)

    def review(self, dossier: Dossier, case: Case) -> Review:
        """Enough, or more tests for the leader."""
        return refinement.review(dossier, case)

    def conclude(self, dossier: Dossier, case: Case) -> Conclusion:
        """The best-supported hypothesis, its claims and its rule."""
        return conclusion.conclude(dossier, case)
