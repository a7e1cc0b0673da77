"""The seam to a language model: a question with the shape of its answer, and who answers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from tools.errors import LanguageModelError
from tools.llm.costs import Spent
from tools.llm.replies import Reply

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent: instructions, and the data that they are about."""

    system: str
    user: str
    hash: str
    """Content hash of the prompt file that it was made from: the prompt's version."""


@dataclass(frozen=True, slots=True)
class Question(Generic[R]):
    """One request for a structured reply."""

    role: str
    """Who is asked, such as `explainer`; a role may have a model of its own."""
    feature: int
    prompt: Prompt
    reply: type[BaseModel]
    """The reply's shape; its JSON schema is sent along."""
    read: Callable[[Any, bool], R]
    """Turns a reply of the right shape into the answer.

    Raises UnusableReply with what is wrong, which the model is told when it is asked again. The
    second argument says that it will not be asked again: then what can be used should be.
    """
    top_logprobs: int = 0
    """How many alternatives to ask for at each token of the reply; 0 for no log-probabilities."""


@dataclass(frozen=True, slots=True)
class Exchange(Generic[R]):
    """A question with all that came of it."""

    outcome: R | LanguageModelError
    """The answer, or what stands in its place: see `LanguageModel.ask`."""
    replies: tuple[Reply, ...]
    """Every reply that was read, the last one last; several where it was asked again."""
    spent: Spent
    """What these replies took when they were paid for, whichever run did that."""


class LanguageModel(Protocol):
    """Answers questions. Safe to share between threads."""

    def ask(self, questions: Sequence[Question[R]]) -> list[R | LanguageModelError]:
        """Ask all at once and wait for the answers, in the questions' order.

        Each answer stands for itself. MalformedReply in its place: no usable reply came, however
        often it was asked; asked again, the same question ends so again at no cost. CallFailed:
        the server failed to answer, and may not later. RequestRefused: the server refuses this
        question, now and later. BudgetSpent: the question was not sent, because the budget of the
        feature or the run is used up, counting what is still under way.

        Raises:
            LanguageModelUnusable: no question can be answered: the key, the model's name or the
                address is wrong.
        """
        ...

    def exchange(self, questions: Sequence[Question[R]]) -> list[Exchange[R]]:
        """Do as `ask` does, and tell what was said and what it took.

        Raises:
            LanguageModelUnusable: as with `ask`.
        """
        ...
