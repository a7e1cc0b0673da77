"""The scripted scientist as a judge: what it makes of an explanation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evaluation.judges.language_model import replies
from tests.llm_server.prompts import body
from tests.llm_server.scientist import scientist
from tools.rules import CLASSES

_UNWRITTEN = {"any", "undecodable", "repeated_mark"}
"""It has no words of bytes, and reads one mark at a time."""
TEA = "Fires on the token ' tea'."


def predicted(description: str, *tokens: str, context: str = "") -> list[int]:
    rows = [{"n": n, "token": token} for n, token in enumerate(tokens, start=1)]
    text = {"context": context, "text": "".join(tokens)}
    return answered(replies.SimulatorReply, description, text=[text], tokens=rows)["activations"]


def answered(reply: Any, description: str, wish: str = "", **blocks: Any) -> dict[str, Any]:
    explanation = [{"description": description}]
    return json.loads(scientist(body(reply, wish, explanation=explanation, **blocks)))


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        (TEA, [0, 9, 0, 0, 9]),
        ("Fires on ' tea'; less strongly on ' and'.", [0, 9, 6, 0, 9]),
        ("Fires on ' tea' right after 'more'.", [0, 0, 0, 0, 9]),
        ("Fires on capitalised words.", [9, 0, 0, 0, 0]),
        ("Fires on words. Does not fire on the tokens ' and' and ' tea'.", [9, 0, 0, 9, 0]),
        ("It is about tea.", [0, 9, 0, 0, 9]),
        ("Deals with mountains of the north.", [0, 0, 0, 0, 0]),
        ("", [0, 0, 0, 0, 0]),
    ],
)
def test_it_predicts_what_the_explanation_says(description: str, expected: list[int]) -> None:
    assert predicted(description, "Hot", " tea", " and", " more", " tea") == expected


def test_context_decides_and_is_not_predicted() -> None:
    assert predicted("Fires on ' tea' after ' hot'.", " tea", context="tea, hot") == [9]
    assert predicted("Fires on ' tea' after ' hot'.", " tea", context="tea, cold") == [0]


def test_it_ticks_picks_and_rates_the_same_texts() -> None:
    lines = ["hot tea", "nothing", "cold and long"]
    texts = [{"n": n, "text": text} for n, text in enumerate(lines, start=1)]
    about = "Fires on ' tea'; faintly on ' long'."
    assert answered(replies.DetectorReply, about, texts=texts) == {"fires": [1, 0, 1]}
    assert answered(replies.PickerReply, about, texts=texts) == {"active": [1, 3]}
    assert answered(replies.RaterReply, about, texts=texts) == {"ratings": [2, 0, 1]}


def test_marks_are_right_where_most_of_them_hold_what_fires() -> None:
    lines = ["hot« tea» and« tea» for« us»", "«hot» tea", "no marks", "« tea and coffee»"]
    texts = [{"n": n, "text": text} for n, text in enumerate(lines, start=1)]
    assert answered(replies.FuzzerReply, TEA, texts=texts) == {"right": [1, 0, 0, 1]}


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - _UNWRITTEN))
def test_it_has_words_of_every_class(name: str) -> None:
    about = f"Fires on {CLASSES[name].noun}."
    wish = "Write 10 texts on which the feature fires"
    texts = answered(replies.WriterReply, about, wish)["texts"]
    assert len(set(texts)) == 10
    shown = [{"n": n, "text": text} for n, text in enumerate(texts, start=1)]
    assert answered(replies.DetectorReply, about, texts=shown) == {"fires": [1] * 10}
