"""All five roles: who is asked what, and what becomes of a question without an answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self, TypeVar

from graphs.policies.language_model import designing
from graphs.policies.language_model.analysing import (
    analyzer_question,
    latest_round,
    rewordable,
)
from graphs.policies.language_model.concluding import Judgement, reviewer_question
from graphs.policies.language_model.proposing import explainer_question
from graphs.policies.language_model.roles import ROLES
from graphs.policies.language_model.words import clean
from graphs.policies.protocols import Case, Dossier, RunServices
from graphs.policies.symbolic.analysis import analyze_evidence as counted_facts
from graphs.records import (
    Conclusion,
    Design,
    Interpretation,
    Proposal,
    Refinement,
    Review,
    Setback,
)
from tools.errors import LanguageModelError, MalformedReply
from tools.llm.language_model import LanguageModel, Question
from tools.llm.prompt_files import read_prompt_files

R = TypeVar("R")


class LanguageModelPolicy:
    """SAGE's Explainer, Designer, Analyzer and Reviewer, asked of a language model.

    It keeps nothing between calls: the same dossier and case give the same requests, so that a
    node that is run again is answered from the ledger.
    """

    prompts: ClassVar[Path | str] = Path(__file__).parent / "prompts"
    """Folder of the prompt files, all four; a subclass may have its own."""

    def __init__(self, model: LanguageModel) -> None:
        """Ask `model`.

        Raises:
            ConfigError: a prompt file is missing or malformed.
        """
        self._model = model
        self._prompts = read_prompt_files(Path(self.prompts), ROLES)

    @classmethod
    def for_run(cls, services: RunServices) -> Self:
        """The policy with the run's language model."""
        return cls(services.language_model())

    def generate_hypotheses(self, dossier: Dossier) -> list[Proposal]:
        """Rivals, each rule of which was executed on the propose split."""
        return self._answer(explainer_question(self._prompts["explainer"], dossier))

    def design_experiments(self, dossier: Dossier, case: Case, room: int) -> list[Design | Setback]:
        """A set of texts for each open hypothesis."""
        prompt = self._prompts["designer"]
        return designing.design_experiments(self._model, prompt, dossier, case, room)

    def analyze_evidence(self, dossier: Dossier, case: Case) -> list[Interpretation]:
        """The counted facts, and behind them the model's reading where words are needed.

        Verdicts stand without any words: a question without a usable reply leaves the facts.

        Raises:
            CallFailed: the server failed to answer.
            BudgetSpent: the question could not be asked.
        """
        facts = counted_facts(dossier, case)
        if case.final or not latest_round(case).wordy:
            return facts
        prompt = self._prompts["analyzer"]
        try:
            analysis = self._answer(analyzer_question(prompt, dossier, case))
        except MalformedReply:
            return facts
        return [analysis.interpreted(fact) for fact in facts]

    def refine_hypotheses(self, dossier: Dossier, case: Case) -> list[Refinement | Setback]:
        """Rewordings of what came out mixed, and what the evidence suggests besides."""
        if case.final:
            return _set_back(case.open, "the budget allows no test of another wording")
        tired = [id for id in case.open if not rewordable(case, case.hypothesis(id))]
        given_up = _set_back(tired, "it was reworded often enough")
        if not latest_round(case).wordy:
            return given_up
        prompt = self._prompts["analyzer"]
        try:
            analysis = self._answer(analyzer_question(prompt, dossier, case))
        except MalformedReply as failure:
            due = [id for id in case.open if id not in tired]
            return [*given_up, *_set_back(due, clean(f"it was not reworded: {failure}", 300))]
        return [*analysis.refinements, *analysis.setbacks, *given_up]

    def review(self, dossier: Dossier, case: Case) -> Review:
        """Hypotheses on which a decision hangs, if tests are left for them.

        Without a usable reply none: what was measured stands, and conclude says that.
        """
        try:
            requests = self._judgement(dossier, case).requests
        except MalformedReply:
            return Review()
        return Review(requests=() if case.final else requests)

    def conclude(self, dossier: Dossier, case: Case) -> Conclusion:
        """The explanation, each claim of which is shown by the observations under it."""
        return self._judgement(dossier, case).conclusion

    def _judgement(self, dossier: Dossier, case: Case) -> Judgement:
        return self._answer(reviewer_question(self._prompts["reviewer"], dossier, case))

    def _answer(self, question: Question[R]) -> R:
        """The answer to one question.

        Raises:
            LanguageModelError: there is none.
        """
        (answer,) = self._model.ask([question])
        if isinstance(answer, LanguageModelError):
            raise answer
        return answer


def _set_back(ids: Sequence[str], reason: str) -> list[Refinement | Setback]:
    return [Setback(hypothesis=id, reason=reason) for id in ids]
