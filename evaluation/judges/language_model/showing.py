"""What the judge is shown: explanation and passages as blocks of data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from evaluation.candidate import Candidate
from evaluation.held_out import Passage
from evaluation.judges.judge import Marked
from tools.llm.data_blocks import Row, data_block

_NO_MARKS = str.maketrans("«»", "‹›")
"""So that nothing in a corpus looks like a mark."""


def explanation_block(candidate: Candidate) -> str:
    """The description, and nothing that only some explanations have."""
    return data_block("explanation", [{"description": candidate.description}])


def text_block(passage: Passage) -> str:
    """The whole passage."""
    return data_block("text", [_row(passage, "".join(passage.scored))])


def token_block(tokens: Iterable[str]) -> str:
    """Tokens with their numbers, from 1."""
    rows = [{"n": number, "token": token} for number, token in enumerate(tokens, start=1)]
    return data_block("tokens", rows)


def place_block(before: Sequence[str], token: str) -> str:
    """One token and the text before it, no further."""
    return data_block("token", [{"before": "".join(before), "token": token}])


def texts_block(passages: Iterable[Passage]) -> str:
    """Passages with their numbers, from 1."""
    rows = [{"n": n, **_row(p, "".join(p.scored))} for n, p in enumerate(passages, start=1)]
    return data_block("texts", rows)


def marked_block(passages: Iterable[Marked]) -> str:
    """Passages with their numbers and their marks; tokens side by side share one pair of marks."""
    rows = [{"n": n, **_row(m.passage, _marked(m))} for n, m in enumerate(passages, start=1)]
    return data_block("texts", rows)


def _row(passage: Passage, scored: str) -> Row:
    context = "".join(passage.tokens[: passage.start])
    return {"context": context, "text": scored} if context else {"text": scored}


def _marked(marked: Marked) -> str:
    marks = set(marked.marks)
    parts: list[str] = []
    for is_marked, run in groupby(enumerate(marked.passage.scored), lambda item: item[0] in marks):
        text = "".join(token for _, token in run).translate(_NO_MARKS)
        parts.append(f"«{text}»" if is_marked else text)
    return "".join(parts)
