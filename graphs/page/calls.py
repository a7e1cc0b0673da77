"""What language models were asked about a feature, and what they said."""

from __future__ import annotations

import json
from typing import Any

from graphs.page.records import Call, Message
from tools.database import Database


def calls_of(database: Database, run: str, feature: int) -> tuple[Call, ...]:
    """The requests of an investigation, oldest first; without those of its evaluation."""
    rows = database.rows(
        "SELECT request, id, role, model, reply, error, tokens_in, tokens_out, cost, latency "
        "FROM llm_calls WHERE run = ? AND feature = ? ORDER BY id",
        [run, feature],
    )
    return tuple(
        Call(id, role, model, _messages(json.loads(request)), *answer)
        for request, id, role, model, *answer in rows
    )


def _messages(request: dict[str, Any]) -> tuple[Message, ...]:
    return tuple(
        Message(message["role"], _text(message["content"])) for message in request["messages"]
    )


def _text(content: Any) -> str:
    """A message's text, which a server may want in parts."""
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
