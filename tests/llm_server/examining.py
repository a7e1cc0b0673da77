"""The judge: reads an explanation, and says of texts what would follow from it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from tests.llm_server.ideas import Idea, idea_of, pieces
from tests.llm_server.reading import HypothesisRow, Sheet
from tools.rules import fold

FULL = 9
"""What it predicts where nothing weaker is said."""
_WEAKER = {"less strongly": 6, "weakly": 4, "faintly": 2}
_CLEAR = 5
_PARTS = re.compile(r"(?<=[.;!])\s+")
_SILENT = re.compile(r"\b(?:not|never|no) (?:fires?|active)\b|\bsilent\b", re.IGNORECASE)
_MARKED = re.compile(r"«([^«»]*)»")


@dataclass(frozen=True, slots=True)
class Part:
    """Something on which the feature is said to fire, or not to fire."""

    idea: Idea
    strength: int


@dataclass(frozen=True, slots=True)
class Meaning:
    """An explanation as it was understood; one that was not says that nothing fires."""

    parts: tuple[Part, ...]

    def strengths(self, before: str, tokens: Sequence[str]) -> list[int]:
        """From 0 to 10 for each token of a text, `before` standing in front of it."""
        cut = [*pieces(before), *tokens]
        text = "".join(cut)
        begins = list(accumulate(map(len, tokens), initial=len(before)))
        found = [0] * len(tokens)
        vetoed: set[int] = set()
        for part in self.parts:
            for place in part.idea.places(text, cut):
                if not len(before) <= place < len(text):
                    continue
                index = bisect_right(begins, place) - 1
                if part.idea.silent:
                    vetoed.add(index)
                found[index] = max(found[index], 0 if part.idea.silent else part.strength)
        return [0 if index in vetoed else value for index, value in enumerate(found)]

    def strongest(self, before: str, text: str) -> int:
        """The same of a whole text."""
        return max(self.strengths(before, pieces(text)), default=0)


def meaning(sheet: Sheet) -> Meaning:
    """What the explanation says; `tokens` of the text tell which words it may mean."""
    rows = sheet.blocks.get("explanation", ())
    said = " ".join(str(row.get("description") or "") for row in rows)
    return Meaning(tuple(_parts(said, _shown(sheet))))


def _shown(sheet: Sheet) -> list[str]:
    rows = [row for name in ("tokens", "token") for row in sheet.blocks.get(name, ())]
    texts = [str(row.get("text", "")) for row in sheet.blocks.get("texts", ())]
    words = [word for text in texts for word in re.findall(r" ?\w+", text)]
    return list(dict.fromkeys([*(str(row.get("token", "")) for row in rows), *words]))


def _parts(description: str, shown: Sequence[str]) -> Iterator[Part]:
    blank = [token for token in shown if token.isspace()]
    for sentence in _PARTS.split(description):
        polarity = "inactive" if _SILENT.search(sentence) else "active"
        row = HypothesisRow(id="", polarity=polarity, statement=sentence)
        idea = idea_of(row, blank)
        if replace(idea, silent=False) in (Idea(), Idea(tokens=tuple(blank))):
            words = {word.casefold() for word in re.findall(r"\w{3,}", sentence)}
            idea = replace(idea, tokens=tuple(token for token in shown if fold(token) in words))
        if replace(idea, silent=False) != Idea():
            weaker = (value for words, value in _WEAKER.items() if words in sentence.lower())
            yield Part(idea, next(weaker, FULL))


def simulate(sheet: Sheet, turn: int) -> dict[str, Any]:
    """A SimulatorReply."""
    before = "".join(str(row.get("context", "")) for row in sheet.blocks.get("text", ()))
    tokens = [str(row.get("token", "")) for row in sheet.blocks.get("tokens", ())]
    return {"activations": meaning(sheet).strengths(before, tokens)}


def simulate_token(sheet: Sheet, turn: int) -> dict[str, Any]:
    """A TokenReply."""
    row = next(iter(sheet.blocks.get("token", ())), {})
    before, token = str(row.get("before", "")), str(row.get("token", ""))
    return {"activation": meaning(sheet).strengths(before, [token])[0]}


def detect(sheet: Sheet, turn: int) -> dict[str, Any]:
    """A DetectorReply."""
    return {"fires": [int(strength > 0) for strength in _of_texts(sheet)]}


def pick(sheet: Sheet, turn: int) -> dict[str, Any]:
    """A PickerReply."""
    numbered = enumerate(_of_texts(sheet), start=1)
    return {"active": [number for number, strength in numbered if strength > 0]}


def rate(sheet: Sheet, turn: int) -> dict[str, Any]:
    """A RaterReply."""
    return {
        "ratings": [int(strength > 0) + int(strength >= _CLEAR) for strength in _of_texts(sheet)]
    }


def fuzz(sheet: Sheet, turn: int) -> dict[str, Any]:
    """A FuzzerReply: marks are right if at least half of them hold what fires."""
    known = meaning(sheet)
    rows = sheet.blocks.get("texts", ())
    return {"right": [int(_rightly_marked(known, row)) for row in rows]}


def _of_texts(sheet: Sheet) -> list[int]:
    known = meaning(sheet)
    rows = sheet.blocks.get("texts", ())
    return [known.strongest(str(r.get("context", "")), str(r.get("text", ""))) for r in rows]


def _rightly_marked(known: Meaning, row: Mapping[str, Any]) -> bool:
    parts = _MARKED.split(str(row.get("text", "")))
    strengths = known.strengths(str(row.get("context", "")), parts)
    # Of the parts, every other one stood between marks.
    marked = strengths[1::2]
    return bool(marked) and 2 * sum(strength > 0 for strength in marked) >= len(marked)
