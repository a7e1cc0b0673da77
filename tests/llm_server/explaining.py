"""The explainer: rival hypotheses out of the token table and the exemplars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.llm_server.fitting import choices
from tests.llm_server.ideas import Idea
from tests.llm_server.knowledge import Knowledge, knowledge
from tests.llm_server.reading import Sheet
from tools.rules import CLASSES, visible

_CLEAR = 0.1
"""Strength from which a token belongs to what the feature fires on."""
_MOST_TOKENS = 12
"""More make a sentence that is cut short where it is shown."""
_FEWEST = 5
_CLASS_COVERS = 0.6
_FILLERS = (
    Idea(quoted=True),
    Idea(token_class="capitalised"),
    Idea(token_class="word", line_start=True),
    Idea(token_class="punctuation"),
    Idea(token_class="number"),
)
"""Wrong but plausible, where the data suggests too little."""
_SILENT_CLASSES = ("number", "capitals", "quote")


def explain(sheet: Sheet, turn: int) -> dict[str, Any]:
    """An ExplainerReply; from the second `turn` on, only lists of tokens get a rule."""
    known = knowledge(sheet)
    classes = choices(sheet.schema, "hypotheses", "rule", "branches", "token_class")
    ideas = rivals(known, [name for name in classes or CLASSES if name in CLASSES])
    return {
        "observation": _observation(known),
        "hypotheses": [_proposal(idea, known.strengths, turn) for idea in ideas],
    }


def rivals(known: Knowledge, classes: Sequence[str]) -> list[Idea]:
    """At least five ideas, one of them of what must not fire, all different."""
    ideas = list(dict.fromkeys(_suggested(known, classes)))
    spare = (idea for idea in _FILLERS if idea not in ideas)
    ideas += [next(spare) for _ in range(_FEWEST - 1 - len(ideas))]
    return [*ideas, _silence(known)]


def _suggested(known: Knowledge, classes: Sequence[str]) -> Iterator[Idea]:
    tokens = list(known.strengths)
    if not tokens:
        return
    clear = [token for token in tokens if known.strengths[token] >= _CLEAR] or tokens
    yield Idea(tuple(clear[:_MOST_TOKENS]))
    yield Idea((tokens[0],))
    yield _in_context(tokens[0], known)
    shared = _class_of(clear, classes)
    yield Idea(token_class=shared) if shared else Idea(quoted=True)


def _in_context(token: str, known: Knowledge) -> Idea:
    """The token after what it most often follows in the exemplars."""
    before = Counter(site.previous for site in known.sites if site.token == token)
    commonest = next((text for text, _ in before.most_common(1)), "")
    if not commonest.strip():
        return Idea((token,), line_start=True)
    return Idea((token,), after=(commonest,))


def _class_of(tokens: Sequence[str], classes: Sequence[str]) -> str | None:
    """The class that most of the tokens share, the narrowest of equals."""
    shares = {name: sum(map(CLASSES[name].holds, tokens)) / len(tokens) for name in classes}
    narrow = [name for name in classes if not CLASSES[name].broad]
    # Whatever is a number also has a digit.
    best = max(narrow, key=lambda name: (shares[name], name != "has_digit"), default=None)
    return best if best is not None and shares[best] >= _CLASS_COVERS else None


def _silence(known: Knowledge) -> Idea:
    if known.silent_tokens:
        return Idea(known.silent_tokens[:3], silent=True)
    free = (c for c in _SILENT_CLASSES if not any(map(CLASSES[c].holds, known.strengths)))
    return Idea(token_class=next(free, "undecodable"), silent=True)


def _proposal(idea: Idea, strengths: Mapping[str, float], turn: int) -> dict[str, Any]:
    listed = bool(idea.tokens) and not (idea.after or idea.line_start)
    return {
        "statement": idea.statement(),
        "polarity": idea.polarity,
        "rule": idea.rule(strengths) if listed or turn == 0 else None,
    }


def _observation(known: Knowledge) -> str:
    if not known.strengths:
        return "The data shows no token on which the feature fires."
    top, *rest = (visible(token) for token in list(known.strengths)[:4])
    return f"{top} carries the most activation" + (f", then {', '.join(rest)}." if rest else ".")
