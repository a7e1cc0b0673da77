"""One question on its way: asked again with what was wrong while replies are unusable."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from tools.errors import LanguageModelError, MalformedReply, UnusableReply
from tools.llm.chat import Chat, Message, Request
from tools.llm.costs import total
from tools.llm.escaping import escaped
from tools.llm.language_model import Exchange, Question
from tools.llm.replies import CUT_OFF, PaidReply, Reply
from tools.llm.structured import parsed, without_thinking

R = TypeVar("R")

ASKED_AT_MOST = 3
"""How often a question is put before its replies count as malformed."""

LONGEST_ECHO = 4000
"""Characters of an unusable reply that the model is shown again."""


class Asking(Generic[R]):
    """Belongs to the thread that asks: reading replies must not keep others' from coming in."""

    def __init__(self, question: Question[R], chat: Chat) -> None:
        self.question = question
        self.chat = chat
        self.outcomes: list[R | LanguageModelError] = []
        """What came of it; empty while it is to be asked."""
        self.requests: list[Request] = []
        """Every turn so far."""
        self._read: list[PaidReply] = []
        self._messages = _opening(question)

    def next_request(self) -> Request:
        """What to send now."""
        question = self.question
        request = self.chat.request(self._messages, question.reply, question.top_logprobs)
        self.requests.append(request)
        return request

    def take(self, paid: PaidReply | LanguageModelError) -> None:
        """Read what came: an answer, or what to ask again."""
        if isinstance(paid, LanguageModelError):
            self.outcomes.append(paid)
            return
        self._read.append(paid)
        reply = paid.reply
        last = len(self.requests) == ASKED_AT_MOST
        try:
            record = parsed(reply, self.question.reply)
            self.outcomes.append(self.question.read(record, last))
        except UnusableReply as error:
            complaint = str(error).rstrip(".")
            if last:
                self.outcomes.append(self._malformed(reply, complaint))
            self._messages = [*self._messages, *_correction(reply, complaint)]

    def exchange(self) -> Exchange[R]:
        """All that came of it, once there is an outcome."""
        return Exchange(
            outcome=self.outcomes[0],
            replies=tuple(paid.reply for paid in self._read),
            spent=total(paid.spent for paid in self._read),
        )

    def _malformed(self, reply: Reply, complaint: str) -> MalformedReply:
        return MalformedReply(
            f"{self.chat.server.model} gave {self.question.role} no usable reply, asked "
            f"{ASKED_AT_MOST} times; at last: {complaint}.{_advice(reply)}"
        )


def _opening(question: Question[Any]) -> list[Message]:
    return [
        {"role": "system", "content": question.prompt.system},
        {"role": "user", "content": question.prompt.user},
    ]


def _correction(reply: Reply, complaint: str) -> list[Message]:
    # Both may repeat what a corpus says, and neither is within a block of data.
    said = escaped(without_thinking(reply.text))
    said = said if len(said) <= LONGEST_ECHO else f"{said[:LONGEST_ECHO]}…"
    told = " ".join(escaped(complaint).split())
    wrong = (
        f"That reply cannot be used: {told}. Answer again, in full: one JSON object of the "
        "required schema and nothing else."
    )
    return [
        # Some servers refuse messages without content.
        {"role": "assistant", "content": said.strip() or "(no text)"},
        {"role": "user", "content": wrong},
    ]


def _advice(reply: Reply) -> str:
    return " Raise llm.max_output_tokens." if reply.finish_reason == CUT_OFF else ""
