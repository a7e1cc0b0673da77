"""What language models were asked about a feature, and what they said."""

from __future__ import annotations

import json
from typing import Any

from graphs.page.records import Call, Message
from tools.database import Database


def calls_of(database: Database, run: str, feature: int) -> tuple[Call, ...]:
    """The requests of an investigation, oldest first; without those of its evaluation."""
    rows = database.records(
        "SELECT id, role, model, request, reply, error, tokens_in, tokens_out, cost, latency "
        "FROM llm_calls WHERE run = ? AND feature = ? ORDER BY id",
        [run, feature],
    )
    return tuple(
        Call(**{**row, "messages": _messages(json.loads(row.pop("request")))}) for row in rows
    )


def _messages(request: dict[str, Any]) -> tuple[Message, ...]:
    return tuple(
        Message(message["role"], _text(message["content"])) for message in request["messages"]
    )


def _text(content: Any) -> str:
    """A message's text, which a server may want in parts."""
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
