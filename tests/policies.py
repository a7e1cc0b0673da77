"""Policies for tests: a scripted scientist, and one class per role to be named in a config."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from graphs.policies.protocols import Case, Dossier
from graphs.policies.symbolic import SymbolicPolicy
from graphs.records import (
    Claim,
    Conclusion,
    Design,
    Hypothesis,
    Interpretation,
    Proposal,
    Refinement,
    Review,
    Trial,
)
from tools.errors import BudgetSpent

PROPOSALS = (
    Proposal(statement="fires on the word return"),
    Proposal(statement="fires on animals"),
    Proposal(statement="fires on digits"),
    Proposal(statement="does not fire on colours", polarity="inactive"),
)
FIRING = ("we return it", "to return a value", "and return None")
SILENT = ("a cat and a dog", "the big dog", "one red house")
TRIALS = {
    "H1": [*(Trial(text=t, predicted="active") for t in FIRING)],
    "H2": [*(Trial(text=t, predicted="active") for t in SILENT)],
    "H3": [
        Trial(text="1 2 3", predicted="active"),
        Trial(text="we return 4", predicted="inactive"),
    ],
    "H4": [Trial(text=t, predicted="inactive") for t in ("red green", "a blue house")],
}


class ScriptedPolicy:
    """Proposes one right hypothesis, two wrong ones and a negative; tests each once."""

    def generate_hypotheses(self, dossier: Dossier) -> Sequence[Proposal]:
        return PROPOSALS

    def design_experiments(self, dossier: Dossier, case: Case, room: int) -> Sequence[Design]:
        return [
            Design(hypothesis=id, kind="positive", trials=tuple(TRIALS[id]))
            for id in case.open
            if id in TRIALS
        ]

    def analyze_evidence(self, dossier: Dossier, case: Case) -> Sequence[Interpretation]:
        return [Interpretation(hypothesis=id, text=f"about {id}") for id in case.open]

    def refine_hypotheses(self, dossier: Dossier, case: Case) -> Sequence[Refinement]:
        return []

    def review(self, dossier: Dossier, case: Case) -> Review:
        return Review()

    def conclude(self, dossier: Dossier, case: Case) -> Conclusion:
        confirmed = [h for h in case.hypotheses if h.status == "confirmed"]
        claims = [self._claim(case, h) for h in confirmed]
        return Conclusion(
            description="; ".join(h.statement for h in confirmed) or "nothing found",
            labels=tuple(h.statement for h in confirmed),
            not_on=(),
            claims=tuple(claim for claim in claims if claim.observations),
        )

    def _claim(self, case: Case, hypothesis: Hypothesis) -> Claim:
        shown = [
            o.id
            for o in case.observations
            if o.id in hypothesis.supporting and o.outcome == hypothesis.polarity
        ]
        return Claim(
            text=hypothesis.statement, shows=hypothesis.polarity, observations=tuple(shown)
        )


class Overclaiming(ScriptedPolicy):
    """Proposes a thing as ScriptedPolicy does and cites an observation that was never made."""

    def conclude(self, dossier: Dossier, case: Case) -> Conclusion:
        claim = Claim(text="trust me", shows="active", observations=("O99.1",))
        return Conclusion(description="d", labels=("l",), not_on=(), claims=(claim,))


class Twisting(ScriptedPolicy):
    """Cites a text that stayed silent for a claim that the feature fires."""

    def conclude(self, dossier: Dossier, case: Case) -> Conclusion:
        silent = [o.id for o in case.observations if o.outcome == "inactive"]
        claim = Claim(text="it fires", shows="active", observations=tuple(silent[:1]))
        return Conclusion(description="d", labels=("l",), not_on=(), claims=(claim,))


class Broken(ScriptedPolicy):
    """Raises what it likes."""

    def design_experiments(self, dossier: Dossier, case: Case, room: int) -> Sequence[Design]:
        raise ZeroDivisionError("oops")


class Mumbling(ScriptedPolicy):
    """Answers with something else than was asked for."""

    def generate_hypotheses(self, dossier: Dossier) -> Sequence[Proposal]:
        return ["fires on cats"]  # type: ignore[list-item]


class Rambling(ScriptedPolicy):
    """Designs a text that no context can hold."""

    def design_experiments(self, dossier: Dossier, case: Case, room: int) -> Sequence[Design]:
        trial = Trial(text="return " * 500, predicted="active")
        return [Design(hypothesis="H1", kind="positive", trials=(trial,))]


class Gibberish(ScriptedPolicy):
    """Proposes a rule that nobody can execute."""

    def generate_hypotheses(self, dossier: Dossier) -> Sequence[Proposal]:
        return [p.model_copy(update={"rule": {"kind": "nonsense"}}) for p in PROPOSALS]


class OneIdea(ScriptedPolicy):
    """Proposes a single hypothesis."""

    def generate_hypotheses(self, dossier: Dossier) -> Sequence[Proposal]:
        return PROPOSALS[:1]


class Insatiable(ScriptedPolicy):
    """Always has another text for every open hypothesis, and never lets one be decided."""

    def design_experiments(self, dossier: Dossier, case: Case, room: int) -> Sequence[Design]:
        return [
            Design(
                hypothesis=id,
                kind="positive",
                trials=(
                    Trial(text=f"we return {case.round} {id[1:]}", predicted="active"),
                    Trial(text=f"we return it {case.round} {id[1:]}", predicted="inactive"),
                ),
            )
            for id in case.open
        ]

    def refine_hypotheses(self, dossier: Dossier, case: Case) -> Sequence[Refinement]:
        return [
            Refinement(proposal=Proposal(statement=f"{id}, differently"), parent=id)
            for id in case.open
        ]


class Recording(ScriptedPolicy):
    """Notes which of its methods were called."""

    calls: ClassVar[list[str]] = []

    def __getattribute__(self, name: str) -> object:
        if not name.startswith("_") and name != "calls":
            Recording.calls.append(name)
        return super().__getattribute__(name)


class NotAPolicy:
    """Has no method of any role."""


class NeedsArguments(ScriptedPolicy):
    """Cannot be made from its name alone."""

    def __init__(self, something: int) -> None:
        self.something = something


class Spent(ScriptedPolicy):
    """Has no language-model call left for one of its methods."""

    def __init__(self, method: str) -> None:
        self.method = method

    def __getattribute__(self, name: str) -> Any:
        if name != "method" and name == self.method:
            raise BudgetSpent("budget llm_calls=3 of feature 0 is used up")
        return super().__getattribute__(name)


class Credulous(SymbolicPolicy):
    """Tests a hypothesis on one text that it came from and on one that nobody would doubt."""

    def design_experiments(self, dossier: Dossier, case: Case, room: int) -> list[Design]:
        trials = (
            Trial(text="    if value is None", predicted="active"),
            Trial(text="a cup of tea", predicted="inactive"),
        )
        return [Design(hypothesis=id, kind="positive", trials=trials) for id in case.open]


class Dawdling(ScriptedPolicy):
    """Takes its time over a design, until the file that `SAESAGE_TEST_GO` names is there."""

    def design_experiments(self, dossier: Dossier, case: Case, room: int) -> Sequence[Design]:
        go = Path(os.environ["SAESAGE_TEST_GO"])
        go.with_suffix(f".{dossier.feature}").touch()
        while not go.exists():
            time.sleep(0.01)
        return super().design_experiments(dossier, case, room)
