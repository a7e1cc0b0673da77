"""Requests of the shape that policies send, to ask a brain without a server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import GenericAlias
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

Polarity = Literal["active", "inactive"]
Kind = Literal["positive", "negative_control", "minimal_pair", "near_miss", "context_ablation"]
Enclosure = Literal[
    "string",
    "long_string",
    "quotes",
    "quotation",
    "comment",
    "slash_comment",
    "brackets",
    "parentheses",
]


class Strict(BaseModel):
    """Part of a reply: nothing more, nothing less, nothing of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class FlatBranch(Strict):
    tokens: list[str]
    words: list[str]
    token_class: str | None
    starts_with: str | None
    ends_with: str | None
    after: list[str]
    not_after: list[str]
    after_words: list[str]
    within: int
    inside: Enclosure | None
    line_start: bool
    sentence_start: bool
    repeated: bool
    strength: float = Field(ge=0, le=1)


class FlatRule(Strict):
    branches: list[FlatBranch] = Field(min_length=1)


class Guess(Strict):
    statement: str
    polarity: Polarity
    rule: FlatRule | None


class ExplainerReply(Strict):
    observation: str
    hypotheses: list[Guess]


def _one_of(ids: Sequence[str]) -> Any:
    return Literal[tuple(ids)] if ids else str


def _list_of(item: Any) -> Any:
    return GenericAlias(list, (item,))


def designer_reply(ids: Sequence[str], most: int | None = None) -> type[BaseModel]:
    """The Designer's reply about these hypotheses, with at most so many texts."""
    item: Any = create_model(
        "DesignedText",
        __base__=Strict,
        hypothesis=(_one_of(ids), ...),
        kind=(Kind, ...),
        text=(str, Field(min_length=1)),
        expected=(Polarity, ...),
    )
    experiments: Any = (_list_of(item), Field(max_length=most))
    return create_model("DesignerReply", __base__=Strict, experiments=experiments)


def analyzer_reply(ids: Sequence[str], due: Sequence[str]) -> type[BaseModel]:
    """The Analyzer's reply about hypotheses, of which those `due` may be reworded."""
    parent: Any = (_one_of(due) | None, ...)
    reading: Any = create_model(
        "Reading", __base__=Strict, hypothesis=(_one_of(ids), ...), text=(str, ...)
    )
    rewording: Any = create_model("Rewording", __base__=Guess, parent=parent)
    return create_model(
        "AnalyzerReply",
        __base__=Strict,
        interpretations=(_list_of(reading), ...),
        refinements=(_list_of(rewording), ...),
    )


def reviewer_reply(ids: Sequence[str], observations: Sequence[str]) -> type[BaseModel]:
    """The Reviewer's reply about hypotheses, citing these observations."""
    claim: Any = create_model(
        "CitedClaim",
        __base__=Strict,
        text=(str, ...),
        shows=(Polarity, ...),
        observations=(_list_of(_one_of(observations)), ...),
    )
    return create_model(
        "ReviewerReply",
        __base__=Strict,
        more_tests=(_list_of(_one_of(ids)), ...),
        best=(_one_of(ids), ...),
        description=(str, Field(min_length=1)),
        labels=(list[str], ...),
        not_on=(list[str], ...),
        claims=(_list_of(claim), ...),
    )


IDS = ["H1", "H2", "H3"]
REPLIES: dict[str, type[BaseModel]] = {
    "explainer": ExplainerReply,
    "designer": designer_reply(IDS),
    "analyzer": analyzer_reply(IDS, ["H2"]),
    "reviewer": reviewer_reply(IDS, ["O1.1", "O1.2"]),
}


def line(row: object) -> str:
    """A row as a prompt shows it."""
    return json.dumps(row, ensure_ascii=False).replace("<", "\\u003c")


def body(reply: type[BaseModel], instructions: str = "", **blocks: Any) -> dict[str, Any]:
    """A request with data blocks; a row that is a string is written as it is."""
    data = "\n".join(
        f'<data name="{name}">\n'
        + "".join(f"{row if isinstance(row, str) else line(row)}\n" for row in rows)
        + "</data>"
        for name, rows in blocks.items()
    )
    schema = {"name": reply.__name__, "strict": True, "schema": reply.model_json_schema()}
    return {
        "model": "m",
        "messages": [
            {"role": "system", "content": instructions},
            {"role": "user", "content": f"Here is the data.\n{data}\nAnswer."},
        ],
        "response_format": {"type": "json_schema", "json_schema": schema},
    }


def again(request: dict[str, Any], said: str, complaint: str) -> dict[str, Any]:
    """The request that asks again after a reply."""
    turns = [{"role": "assistant", "content": said}, {"role": "user", "content": complaint}]
    return {**request, "messages": [*request["messages"], *turns]}


TOKENS = [
    {"token": " import", "share": 0.6, "mean": 0.9, "fires": 1.0, "n": 90},
    {"token": " from", "share": 0.3, "mean": 0.5, "fires": 0.9, "n": 60},
    {"token": " important", "share": 0.0, "mean": 0.0, "fires": 0.0, "n": 40},
]
"""Of a feature that fires on ' import' and, less strongly, ' from'."""
EXEMPLARS = [
    {"band": "top", "max": 1.02, "text": "y = 2\nlet me now« import»9 the old module here"},
    {"band": "top", "max": 0.98, "text": "they had to now« import»10 new cars every year"},
    {"band": "top", "max": 0.9, "text": "we often now« import»9 tea and sugar"},
    {"band": "quantile_4", "max": 0.7, "text": "she came« from»7 the river bank"},
    {"band": "quantile_1", "max": 0.2, "text": "he said from« import»2 alone"},
    {"band": "random", "max": 0.0, "text": "the sun rose over the quiet fields of wheat"},
    {"band": "near_miss", "max": 0.0, "text": "this is important, more than anything else"},
    {"band": "near_miss", "max": 0.0, "text": "what an important day it was for us all"},
]


def hypothesis(id: str, statement: str, status: str = "pending", **more: Any) -> dict[str, Any]:
    """A row of the block `hypotheses`."""
    row = {"id": id, "polarity": "active", "status": status, "statement": statement, "rule": None}
    return {**row, "note": "", "results": "", "open": status in ("pending", "refined"), **more}


def result(id: str, outcome: str, text: str, predicted: str = "active", of: str = "H1") -> Any:
    """A row of the block `results`."""
    row = {"id": id, "hypothesis": of, "kind": "positive", "predicted": predicted}
    return {**row, "outcome": outcome, "max": 0.9 if outcome == "active" else 0.0, "text": text}


TRUE = hypothesis("H1", "Fires on the tokens ' import' and ' from'.")
NARROW = hypothesis("H2", "Fires on the token ' import' right after ' now'.")
SILENT = hypothesis("H3", "Does not fire on the token ' important'.", polarity="inactive")
