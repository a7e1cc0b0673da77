"""Conditions on words, sentences, lines and enclosures, whatever the tokenizer makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.subjects import make_tokenizer
from tools.model.tokenization import TextTokens
from tools.rules import (
    Condition,
    Indented,
    Inside,
    LineStart,
    SentenceStart,
    TokenIn,
    Windows,
    WordAffix,
    WordBefore,
    WordIn,
)

PROSE = (" the", " un", "believ", "able", " Import", "ance", ",", " import", " it", "'", "s", ".")
UNMARKED = ("the", "unbeliev", "able", " ", "import", " ", "os")
"""Whitespace as tokens of its own, no mark on the words."""
BYTES = (" caf", "\ufffd", "\ufffd", "s", " ", "\ufffd", "!")
"""Pieces of characters that are no valid UTF-8 alone."""


def holds(condition: Condition, tokens: tuple[str, ...]) -> set[int]:
    return set(np.flatnonzero(condition.mask(Windows.of([tokens]))).tolist())


@pytest.mark.parametrize(
    ("condition", "tokens", "expected"),
    [
        (WordIn(("the", "unbeliev")), PROSE, {0, 2}),
        (WordIn(("Import",)), PROSE, {4}),
        (WordIn(("IMPORT",), folded=True), PROSE, {4, 7}),
        (WordIn(("believ", "ance", "able")), PROSE, set()),
        (WordIn(("s",)), PROSE, {10}),
        (WordIn(("unbelievable", "theun", "os")), UNMARKED, {6}),
        (WordIn(("theunbeliev", "theunbelievable", "import")), UNMARKED, {1, 2, 4}),
        (WordIn(("caf\ufffd\ufffds", "\ufffd")), BYTES, {3, 5}),
        (WordIn(("import", "x")), ("imp", "ort ", "x ", "import", "ant "), {1, 2, 3}),
        (WordBefore(WordIn(("import",)), 1, 2), ("imp", "ort ", "x", "import", "ant "), {2, 3}),
        (WordIn(("b",)), ("a.b", "c", "(b", "b,"), {0, 2}),
        (WordIn(("naïve",)), (" nai\u0308", "ve", " na", "ïve"), {3}),
        (WordIn(("naive",), folded=True), ("NAI", "", "VE"), set()),
        (WordAffix("UN", "start"), PROSE, {2, 3}),
        (WordAffix("able", "end"), PROSE, {3}),
        (WordAffix("import", "start"), PROSE, {5}),
        (WordBefore(WordIn(("unbelievable",)), 1, 2), PROSE, {4, 5}),
        (WordBefore(WordIn(("import",), folded=True), 1, 9), PROSE, {8, 9, 10, 11}),
        (WordBefore(WordIn(("import", "importance"), folded=True), 2, 2), PROSE, {7, 9}),
        (WordBefore(WordIn(("unbeliev", "un")), 1, 9), PROSE, set()),
    ],
    ids=lambda value: str(value)[:60],
)
def test_words_are_read_over_the_tokens_that_spell_them(
    condition: Condition, tokens: tuple[str, ...], expected: set[int]
) -> None:
    assert holds(condition, tokens) == expected


@pytest.mark.parametrize(
    ("tokens", "ends"),
    [((" imp", "o", "rt", " x"), 2), ((" import", " x"), 0), ((" ", "import", " ", "x"), 1)],
)
def test_a_word_in_one_token_and_in_pieces_is_the_same_word(
    tokens: tuple[str, ...], ends: int
) -> None:
    word = WordIn(("import",))
    assert holds(word, tokens) == {ends}
    assert holds(WordBefore(word, 1, 9), tokens) == set(range(ends + 1, len(tokens)))


def test_words_without_end_are_no_words() -> None:
    tokens = ("字",) * 500 + (" end",)
    assert holds(WordAffix("字", "start"), tokens) == set(range(1, 64))
    assert holds(WordIn(("end",)), tokens) == {500}


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ((" Hi", ".", " It", " is", " 3", ".", "14", "!", '"', " So"), {0, 2, 9}),
        (("a", ".", "b", " c", "?", "\n", "d", "\n", "e", "\n", "\n", "f"), {0, 6, 11}),
        (("Hi", ".\n\n    ", '"', "Who", "?", '"', " he", " said"), {0, 3, 6}),
        (("\n", "    ", " (", "a", "bc"), {3}),
        (("好", "。", "我", "！", "你"), {0, 2, 4}),
        ((". It", " x.", " y"), {0, 2}),
        (("\ufffd", "\ufffd", ".", " \ufffd"), {0, 3}),
    ],
)
def test_sentences_begin_behind_stops_and_empty_lines(
    tokens: tuple[str, ...], expected: set[int]
) -> None:
    assert holds(SentenceStart(), tokens) == expected


@pytest.mark.parametrize(
    ("least", "tokens", "expected"),
    [
        (1, ("a", " b", "\n", "  ", " c", "    ", "d", "\n", "e"), {3, 4, 5, 6}),
        (4, ("    x", " y", ":\n    ", "z", "\n  z", "   ", "z"), {0, 1, 2, 3}),
        (2, (" ", " ", "x", "\n", "\t\t", "y"), {1, 2, 4, 5}),
    ],
)
def test_lines_are_indented_by_what_they_begin_with(
    least: int, tokens: tuple[str, ...], expected: set[int]
) -> None:
    assert holds(Indented(least), tokens) == expected


@pytest.mark.parametrize(
    ("what", "tokens", "expected"),
    [
        ("string", ("x", " '", "a", '"', "b", "'", "c"), {2, 3, 4, 5}),
        ("string", (" don", "'t", " it", "'", "s", " '", "q", "'", "x"), {6, 7}),
        ("string", ("f", "'", "a", "'", "b"), {2, 3}),
        ("string", ("'", "a", "\\", "'", "b", "'", "c"), {1, 2, 3, 4, 5}),
        ("string", ("''", "a", " '", "\n", "b"), {3}),
        ("string", ('"""', "a", "\n", ' "', "b", '"', '""', "c"), {1, 2, 3, 4, 5, 6}),
        ("string", ("#", " '", "a", "\n", "b"), set()),
        (
            "slash_comment",
            ("x", " //", " a", "\n", "b", "/*", "c", "\n", "*/", "d"),
            {2, 3, 6, 7, 8},
        ),
        ("slash_comment", ("https", "://", "a", " b", "/", "c"), set()),
        ("quotation", (" “", "a", "\n", "b", "”", "c"), {1, 2, 3, 4}),
        ("quotation", (' "', "a", "\n", "\n", "b"), {1, 2, 3}),
        ("quotation", ("«", "a", "»", "b", "„", "c", "“", "d"), {1, 2, 5, 6}),
        ("parentheses", (")", "a", "(", "b", "(", "c", "))", "d"), {3, 4, 5, 6}),
        ("parentheses", (":(", "a", "\n", "b", "\n\n", "c"), {1, 2, 3, 4}),
    ],
)
def test_enclosures_of_prose_and_code(
    what: Any, tokens: tuple[str, ...], expected: set[int]
) -> None:
    assert holds(Inside(what), tokens) == expected


def test_lines_begin_without_marks_of_spaces() -> None:
    assert holds(LineStart(), ("\n", "\t", "a", "b", "\r\n", "\ufffd", "c")) == {2, 5}
    assert holds(TokenIn(("import",), folded=True), UNMARKED) == {4}


@pytest.mark.parametrize("kind", ["byte", "sentencepiece", "wordpiece"])
def test_words_are_the_same_under_every_tokenizer(kind: str) -> None:
    tokenizer = TextTokens(make_tokenizer(kind))
    tokens = tuple(tokenizer.surfaces(tokenizer.ids("and import name, importing it")))
    read = ["".join(tokens[: i + 1]).strip() for i in range(len(tokens))]
    so_far = [read[i].replace(" ,", ",") for i in sorted(holds(WordIn(("import",)), tokens))]
    assert so_far == ["and import", "and import name, import"]
    (after,) = holds(WordBefore(WordIn(("import",))), tokens)
    assert read[after - 1] == "and import"
    (end,) = holds(WordAffix("importin", "start"), tokens)
    assert read[end].endswith(" importing")
