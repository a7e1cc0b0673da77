"""Asking the loopback server through the client that users have."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel

from tests.llm_server import LoopbackServer
from tools.database import Database
from tools.llm.language_model import Prompt, Question
from tools.llm.openai_model import OpenAIModel
from tools.llm.settings import LlmBudget, LlmSettings

GOOD = '{"word": "tea", "count": 2}'


class Said(BaseModel):
    word: str
    count: int | None = None


def word_of(reply: Said, last: bool) -> str:
    return reply.word


def question(
    text: str = "Which word?",
    *,
    role: str = "conclude",
    feature: int = 1,
    reply: type[BaseModel] = Said,
    read: Callable[[Any, bool], Any] = word_of,
    top_logprobs: int = 0,
) -> Question[Any]:
    prompt = Prompt(system="Answer.", user=text, hash="a1b2")
    return Question(role, feature, prompt, reply, read, top_logprobs)


def good(body: dict[str, Any]) -> str:
    return GOOD


@contextmanager
def asking(
    database: Database,
    server: LoopbackServer | str,
    *,
    run: str = "run-1",
    per_feature: LlmBudget | None = None,
    per_run: LlmBudget | None = None,
    **settings: Any,
) -> Generator[OpenAIModel]:
    """A client of the server, closed at the end."""
    url = server if isinstance(server, str) else server.base_url
    whole = LlmSettings.model_validate({"model": "m", "base_url": url, **settings})
    model = OpenAIModel(
        whole,
        database,
        run,
        per_feature=per_feature or LlmBudget(),
        per_run=per_run or LlmBudget(),
    )
    try:
        yield model
    finally:
        model.close()
