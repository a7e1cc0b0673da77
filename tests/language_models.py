"""A language model for tests, asked as the real client asks, and cases to ask it about."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from graphs.policies.language_model import LanguageModelPolicy
from graphs.policies.language_model.flat_rules import executable
from graphs.policies.language_model.replies import FlatRule
from graphs.policies.protocols import Case, Dossier, Thresholds
from graphs.policies.symbolic import SymbolicPolicy
from graphs.records import Expectation, Experiment, Hypothesis, Observation
from graphs.verdicts import judge, outcome_of, supports
from tests.test_symbolic_planted import FEATURES, context_of, world
from tools.errors import LanguageModelError, MalformedReply, UnusableReply
from tools.llm.costs import NOTHING_SPENT, Spent
from tools.llm.language_model import Exchange, Question
from tools.llm.replies import Reply
from tools.llm.structured import response_format

Brain = Callable[[dict[str, Any]], str]
"""A request's body to the content of the reply."""


class FakeLanguageModel:
    """A LanguageModel without a server, which keeps the questions, the requests and the errors.

    Like the real one it answers an identical request from memory, and asks again, at most twice,
    with what was wrong.
    """

    def __init__(self, *brains: Brain | LanguageModelError) -> None:
        """Answer the first requests by one brain each, all further ones by the last brain.

        An error in the place of a brain is the outcome of that question.
        """
        self.brains = list(brains)
        self.questions: list[Question[Any]] = []
        self.batches: list[int] = []
        self.paid: dict[str, str] = {}
        self.complaints: list[str] = []

    def ask(self, questions: Sequence[Question[Any]]) -> list[Any]:
        return [exchange.outcome for exchange in self.exchange(questions)]

    def exchange(self, questions: Sequence[Question[Any]]) -> list[Exchange[Any]]:
        self.batches.append(len(questions))
        return [self._exchange(question) for question in questions]

    def _exchange(self, question: Question[Any]) -> Exchange[Any]:
        self.questions.append(question)
        brain = self.brains.pop(0) if len(self.brains) > 1 else self.brains[0]
        if isinstance(brain, LanguageModelError):
            return Exchange(brain, (), NOTHING_SPENT)
        replies: list[Reply] = []
        outcome = self._outcome(brain, question, replies)
        return Exchange(outcome, tuple(replies), paid(len(replies)))

    def _outcome(self, brain: Brain, question: Question[Any], replies: list[Reply]) -> Any:
        messages = messages_of(question)
        for attempt in range(3):
            content = self._reply(brain, question, messages)
            replies.append(Reply(content, "stop"))
            try:
                reply = question.reply.model_validate(json.loads(content))
                return question.read(reply, attempt == 2)
            except (ValueError, ValidationError, UnusableReply) as error:
                self.complaints.append(str(error))
                messages = [
                    *messages,
                    {"role": "assistant", "content": content},
                    {"role": "user", "content": str(error)},
                ]
        return MalformedReply(f"no usable reply: {self.complaints[-1]}")

    def _reply(self, brain: Brain, question: Question[Any], messages: list[Any]) -> str:
        body = body_of(question, messages)
        key = json.dumps(body, sort_keys=True)
        if key not in self.paid:
            self.paid[key] = brain(body)
        return self.paid[key]

    @property
    def prompts(self) -> list[str]:
        """System and user part of every question, in the order asked."""
        return [q.prompt.system + q.prompt.user for q in self.questions]


def paid(calls: int) -> Spent:
    """What so many calls take."""
    return Spent(calls, 100 * calls, 10 * calls, 0.25 * calls)


def messages_of(question: Question[Any]) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": question.prompt.system},
        {"role": "user", "content": question.prompt.user},
    ]


def body_of(question: Question[Any], messages: Sequence[dict[str, str]]) -> dict[str, Any]:
    """The body that the real client would send."""
    return {"messages": list(messages), "response_format": response_format(question.reply)}


Result = tuple[Experiment, Observation]


def dossier_of(name: str) -> Dossier:
    """What is known of one of the planted features."""
    return context_of(SymbolicPolicy()).dossier(list(FEATURES).index(name))


def hypothesis(id: str, **changes: Any) -> Hypothesis:
    return Hypothesis(**{"id": id, "round": 0, "statement": f"Fires as {id} says.", **changes})


def experiment(
    dossier: Dossier,
    hypothesis: str,
    number: int,
    text: str,
    predicted: Expectation,
    round: int = 1,
) -> Result:
    """A text tested for a hypothesis, and what the planted subject did on it."""
    measured = world()[0].activations([text], [dossier.feature])[0]
    activations = tuple(float(a) for a in measured.activations[:, 0])
    normalized = max(activations) / dossier.statistics.scale
    outcome = outcome_of(normalized, dossier.thresholds)
    planned = Experiment(
        id=f"E{number}.1",
        design=f"E{number}",
        hypothesis=hypothesis,
        kind="positive" if predicted == "active" else "negative_control",
        text=text,
        predicted=predicted,
        purpose="",
        round=round,
    )
    observation = Observation(
        id=f"O{number}.1",
        experiment=planned.id,
        hypothesis=hypothesis,
        tokens=measured.tokens,
        activations=activations,
        max_activation=max(activations),
        normalized=normalized,
        outcome=outcome,
        supports=supports(predicted, outcome),
    )
    return planned, observation


def case_of(*hypotheses: Hypothesis, results: Sequence[Result] = (), **changes: Any) -> Case:
    """A case after one round; hypotheses are judged by their results, a given status stays."""
    experiments = tuple(planned for planned, _ in results)
    observations = tuple(observation for _, observation in results)
    judged = [judge(h, experiments, observations, Thresholds()) for h in hypotheses]
    settled = {
        "round": int(bool(results)),
        "reviews": 0,
        "hypotheses": tuple(
            j if h.status == "pending" else j.model_copy(update={"status": h.status})
            for h, j in zip(hypotheses, judged, strict=True)
        ),
        "experiments": experiments,
        "observations": observations,
        "open": tuple(h.id for h in hypotheses),
        "final": False,
    }
    return Case(**{**settled, **changes})


AND = {"tokens": [" and"], "strength": 0.9}
"""What the planted feature `single token` fires on, as a branch of a flat rule."""


def flat(*branches: dict[str, Any]) -> dict[str, Any]:
    """A rule as a model writes it."""
    return {"branches": list(branches)}


def rule_json(**branch: Any) -> dict[str, Any]:
    flat_rule = FlatRule.model_validate(flat({"strength": 0.9, **branch}))
    return executable(flat_rule, "active").to_json()


def answering(*replies: dict[str, Any]) -> tuple[LanguageModelPolicy, FakeLanguageModel]:
    """A policy whose model gives these replies in turn, the last one ever after."""
    queue = [json.dumps(reply) for reply in replies]
    model = FakeLanguageModel(lambda body: queue.pop(0) if len(queue) > 1 else queue[0])
    return LanguageModelPolicy(model), model
