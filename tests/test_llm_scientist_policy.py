"""The scripted scientist understands the policy's own prompts: it explains what was planted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from graphs.context import ExplainContext, Limits, Policies
from graphs.explain import build_graph
from graphs.policies.language_model import LanguageModelPolicy
from graphs.policies.protocols import Thresholds
from graphs.state import ExplainState, initial_state
from tests.llm_server.obedient import obedient
from tests.llm_server.scientist import scientist
from tests.test_symbolic_planted import FEATURES, world
from tools.errors import LanguageModelError
from tools.llm.language_model import Question, R
from tools.llm.structured import response_format

Brain = Callable[[dict[str, Any]], str]


class Direct:
    """A language model that is a brain: no server between, and no second try."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain

    def ask(self, questions: Sequence[Question[R]]) -> list[R | LanguageModelError]:
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question[R]) -> R:
        body = {
            "messages": [
                {"role": "system", "content": question.prompt.system},
                {"role": "user", "content": question.prompt.user},
            ],
            "response_format": response_format(question.reply),
        }
        reply = question.reply.model_validate(json.loads(self.brain(body)))
        return question.read(reply, False)


def investigate(name: str, brain: Brain) -> ExplainState:
    subject, source = world()
    policy = LanguageModelPolicy(Direct(brain))
    context = ExplainContext(
        subject=subject,
        source=source,
        policies=Policies(policy, policy, policy, policy, policy),
        limits=Limits(rounds=14, experiments=200, minutes=None),
        thresholds=Thresholds(),
        seed=0,
    )
    start = initial_state("run", list(FEATURES).index(name))
    state = build_graph().invoke(start, context=context, config={"recursion_limit": 200})
    return ExplainState(**state)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("single token", "' and'"),
        ("graded set", "'if', 'while', 'for' and 'raise'"),
        ("after a token", "' not' right after ' is'"),
        ("suffix", "' singing'"),
        ("digits", "numbers"),
    ],
)
def test_a_planted_meaning_is_found_and_no_reply_is_refused(name: str, said: str) -> None:
    state = investigate(name, scientist)
    assert state["explanation"] is not None
    assert (state["status"], said in state["explanation"].description) == ("explained", True)
    outcomes = {o.id: o.outcome for o in state["observations"]}
    claims = state["explanation"].claims
    assert claims
    assert all(outcomes[id] == claim.shows for claim in claims for id in claim.observations)
    assert {h.status for h in state["hypotheses"]} > {"confirmed"}


def test_the_obedient_brain_differs_only_where_orders_are_given() -> None:
    said = [investigate("graded set", brain)["explanation"] for brain in (scientist, obedient)]
    assert said[0] == said[1]
