"""The brain of the loopback server: answers as a decent language model would, and always alike.

It knows nothing but the request: system and user message, and the schema of the reply.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from tests.llm_server import examining
from tests.llm_server.composing import write
from tests.llm_server.drafting import experiments, requested, used_texts
from tests.llm_server.explaining import explain
from tests.llm_server.fitting import choices, fit
from tests.llm_server.glancing import glance
from tests.llm_server.ideas import idea_of
from tests.llm_server.judging import analyze, review
from tests.llm_server.knowledge import knowledge
from tests.llm_server.reading import HypothesisRow, Sheet, Unreadable, read

_MOST_TURNS = 2
"""Other answers that it has when its own one is refused."""


def scientist(body: dict[str, Any]) -> str:
    """The content of the reply to a chat-completions request: JSON of the schema asked for.

    When it is told that a reply was wrong, it says again what it meant; only a reply that is its
    own is replaced by another one.

    Raises:
        Unreadable: the request has no schema, no user message, or a role nobody knows.
    """
    sheet = read(body)
    answer = written(reply(sheet, 0))
    for turn in range(1, _MOST_TURNS + 1):
        if not any(said[:400] == answer[:400] for said in sheet.replies):
            break
        answer = written(reply(sheet, turn))
    return answer


def reply(sheet: Sheet, turn: int) -> dict[str, Any]:
    """What to answer, after `turn` refusals."""
    answer = _ROLES.get(sheet.role)
    if answer is None:
        known = ", ".join(_ROLES)
        raise Unreadable(f"No role answers with {sheet.role!r}; known replies are {known}.")
    return fit(answer(sheet, turn), sheet.schema)


def written(answer: Mapping[str, Any]) -> str:
    """A reply as it is sent; what cannot be encoded becomes a question mark."""
    text = json.dumps(answer, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode("utf-8")


def design(sheet: Sheet, turn: int) -> dict[str, Any]:
    """A DesignerReply; another `turn` begins with other texts."""
    known = knowledge(sheet)
    used = used_texts(sheet)
    asked = _asked(sheet)
    number = requested(sheet, max(1, len(asked)))
    return {
        "experiments": [
            {"hypothesis": row.id, **asdict(trial)}
            for row in asked
            for trial in experiments(
                idea_of(row, list(known.strengths)), known, number, used, _offset(row, turn)
            )
        ]
    }


def _asked(sheet: Sheet) -> list[HypothesisRow]:
    """The hypotheses that the schema names, else the open ones; ids without a row stand bare."""
    ids = choices(sheet.schema, "experiments", "hypothesis")
    if ids is None:
        return [row for row in sheet.hypotheses if row.open]
    rows = {row.id: row for row in sheet.hypotheses}
    return [rows.get(id) or HypothesisRow(id=id) for id in ids]


def _offset(row: HypothesisRow, turn: int) -> int:
    """Rivals begin with different texts."""
    return 3 * turn + int("".join(filter(str.isdecimal, row.id)) or 0)


_ROLES: Mapping[str, Callable[[Sheet, int], dict[str, Any]]] = {
    "ExplainerReply": explain,
    "DesignerReply": design,
    "AnalyzerReply": analyze,
    "ReviewerReply": review,
    "SimulatorReply": examining.simulate,
    "TokenReply": examining.simulate_token,
    "DetectorReply": examining.detect,
    "FuzzerReply": examining.fuzz,
    "PickerReply": examining.pick,
    "RaterReply": examining.rate,
    "WriterReply": write,
    "OneShotReply": glance,
}
