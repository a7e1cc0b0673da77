"""What the judge is asked: one kind of question per prompt file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel

from evaluation.candidate import Candidate
from evaluation.held_out import Passage
from evaluation.judges.judge import Marked
from evaluation.judges.language_model import replies, showing
from graphs.config import JUDGE
from tools.llm.language_model import Question
from tools.llm.prompt_files import Placeholders, read_prompt_files

R = TypeVar("R")

PROMPTS = Path(__file__).parent / "prompts"
TOP_LOGPROBS = 20
"""Alternatives asked for at each token: the most that servers commonly give."""

_ROLES: Mapping[str, Placeholders] = {
    "simulator": Placeholders(required=("explanation", "text", "tokens"), optional=("count",)),
    "token_simulator": Placeholders(required=("explanation", "token")),
    "detector": Placeholders(required=("explanation", "texts"), optional=("count",)),
    "fuzzer": Placeholders(required=("explanation", "texts"), optional=("count",)),
    "picker": Placeholders(required=("explanation", "texts"), optional=("count",)),
    "rater": Placeholders(required=("explanation", "texts"), optional=("count",)),
    "writer": Placeholders(required=("explanation", "count", "wanted")),
}
_FIRING = "on which the feature fires, as strongly as the explanation lets you expect"
_SILENT = "on which the feature does not fire anywhere"

Numbers: TypeAlias = tuple[int, ...]


def prompts_digest() -> str:
    """Hash of all prompt files: scores made with others are other scores."""
    prompts = read_prompt_files(PROMPTS, _ROLES)
    versions = "".join(prompts[role].hash for role in sorted(prompts))
    return hashlib.sha256(versions.encode()).hexdigest()[:16]


class Questions:
    """Makes questions about one explanation at a time."""

    def __init__(self) -> None:
        """Read the prompt files.

        Raises:
            ConfigError: one is missing or malformed.
        """
        self._prompts = read_prompt_files(PROMPTS, _ROLES)

    def simulation(self, candidate: Candidate, passage: Passage) -> Question[Numbers]:
        """A number for every scored token of a passage."""
        count = len(passage.scored)

        def read(reply: replies.SimulatorReply, last: bool) -> Numbers:
            return replies.one_for_each(reply.activations, count, "activations", "tokens")

        shown = {
            "text": showing.text_block(passage),
            "tokens": showing.token_block(passage.scored),
            "count": str(count),
        }
        return self._question(
            "simulator", candidate, shown, replies.SimulatorReply, read, TOP_LOGPROBS
        )

    def place(self, candidate: Candidate, passage: Passage, index: int) -> Question[Numbers]:
        """A number for one scored token, from what stands before it alone."""

        def read(reply: replies.TokenReply, last: bool) -> Numbers:
            return (reply.activation,)

        at = passage.start + index
        shown = {"token": showing.place_block(passage.tokens[:at], passage.tokens[at])}
        return self._question(
            "token_simulator", candidate, shown, replies.TokenReply, read, TOP_LOGPROBS
        )

    def detection(self, candidate: Candidate, passages: Sequence[Passage]) -> Question[Numbers]:
        """Whether each of a few passages fires."""
        count = len(passages)

        def read(reply: replies.DetectorReply, last: bool) -> Numbers:
            return replies.one_for_each(reply.fires, count, "fires", "texts")

        shown = {"texts": showing.texts_block(passages), "count": str(count)}
        return self._question(
            "detector", candidate, shown, replies.DetectorReply, read, TOP_LOGPROBS
        )

    def fuzzing(self, candidate: Candidate, passages: Sequence[Marked]) -> Question[Numbers]:
        """Whether the marks of each of a few passages are right."""
        count = len(passages)

        def read(reply: replies.FuzzerReply, last: bool) -> Numbers:
            return replies.one_for_each(reply.right, count, "right", "texts")

        shown = {"texts": showing.marked_block(passages), "count": str(count)}
        return self._question("fuzzer", candidate, shown, replies.FuzzerReply, read, TOP_LOGPROBS)

    def choice(self, candidate: Candidate, passages: Sequence[Passage]) -> Question[frozenset[int]]:
        """Which of the passages fire."""
        count = len(passages)

        def read(reply: replies.PickerReply, last: bool) -> frozenset[int]:
            return replies.picked(reply, count)

        shown = {"texts": showing.texts_block(passages), "count": str(count)}
        return self._question("picker", candidate, shown, replies.PickerReply, read)

    def rating(self, candidate: Candidate, passages: Sequence[Passage]) -> Question[Numbers]:
        """How far each of a few passages shows what is described."""
        count = len(passages)

        def read(reply: replies.RaterReply, last: bool) -> Numbers:
            return replies.one_for_each(reply.ratings, count, "ratings", "texts")

        shown = {"texts": showing.texts_block(passages), "count": str(count)}
        return self._question("rater", candidate, shown, replies.RaterReply, read)

    def writing(
        self, candidate: Candidate, count: int, *, fires: bool
    ) -> Question[tuple[str, ...]]:
        """New texts."""

        def read(reply: replies.WriterReply, last: bool) -> tuple[str, ...]:
            return replies.different(reply, count, last)

        shown = {"count": str(count), "wanted": _FIRING if fires else _SILENT}
        return self._question("writer", candidate, shown, replies.WriterReply, read)

    def _question(
        self,
        prompt: str,
        candidate: Candidate,
        shown: Mapping[str, str],
        reply: type[BaseModel],
        read: Callable[[Any, bool], R],
        top_logprobs: int = 0,
    ) -> Question[R]:
        explained = {"explanation": showing.explanation_block(candidate), **shown}
        return Question(
            role=JUDGE,
            feature=candidate.feature,
            prompt=self._prompts[prompt].fill(explained),
            reply=reply,
            read=read,
            top_logprobs=top_logprobs,
        )
