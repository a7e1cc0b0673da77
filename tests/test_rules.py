"""The rule language: what each condition holds for, JSON there and back, sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tools.errors import RuleError
from tools.rules import (
    CLASSES,
    Affix,
    AllOf,
    Before,
    Branch,
    Condition,
    FirstTokens,
    InClass,
    Inside,
    LineStart,
    Not,
    Recurring,
    Repeated,
    Rule,
    TokenIn,
    Windows,
    condition_from_json,
    rule_from_json,
)

CODE = ("import", " os", "\n", "\n", "    ", "import", " x", " as", " X", ";", " Import", "\n    ")

CONDITIONS: list[tuple[Condition, set[int]]] = [
    (TokenIn(("import",)), {0, 5}),
    (TokenIn(("import",), folded=True), {0, 5, 10}),
    (TokenIn((" x",), folded=True), {6, 8}),
    (InClass("capitalised"), {10}),
    (InClass("newline"), {2, 3, 11}),
    (InClass("indentation"), {4, 11}),
    (InClass("any"), set(range(12))),
    (Affix("im", "start"), {0, 5}),
    (Affix("ort", "end"), {0, 5, 10}),
    (Affix("import", "end"), set()),
    (Before(TokenIn(("import",))), {1, 6}),
    (Before(TokenIn(("import",)), 2, 2), {2, 7}),
    (Before(TokenIn(("import",)), 1, 3), {1, 2, 3, 6, 7, 8}),
    (Before(InClass("newline"), 2, 3), {4, 5, 6}),
    (FirstTokens(2), {0, 1}),
    (LineStart(), {0, 5}),
    (Repeated(), {3, 5}),
    (Not(FirstTokens(10)), {10, 11}),
    (AllOf((TokenIn(("import",)), Not(FirstTokens(1)))), {5}),
]


def holds(condition: Condition, tokens: tuple[str, ...]) -> set[int]:
    return set(np.flatnonzero(condition.mask(Windows.of([tokens]))).tolist())


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS, ids=lambda value: str(value)[:50])
def test_each_condition_holds_where_it_should(condition: Condition, expected: set[int]) -> None:
    assert holds(condition, CODE) == expected


@pytest.mark.parametrize(
    ("what", "tokens", "expected"),
    [
        ("quotes", ("x", ' "', "a", " b", '"', " c", "\n", "d"), {2, 3, 4}),
        ("comment", ("x", " #", " a", " b", "\n", "c"), {2, 3, 4}),
        ("long_string", ('"""', "a", "\n", "b", '"""', "c"), {1, 2, 3, 4}),
        ("brackets", ("f", "(", "a", "[", "0", "]", ")", "b"), {2, 3, 4, 5, 6}),
        # A text may begin inside brackets: what closes them opens no others.
        ("brackets", (")", "]", "a", "(", "b", ")", "c", "))(", "d"), {4, 5, 8}),
    ],
)
def test_enclosures_begin_and_end(what: Any, tokens: tuple[str, ...], expected: set[int]) -> None:
    assert holds(Inside(what), tokens) == expected


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("number", (" 12", "7"), ("x1", ".")),
        ("capitals", (" NOT", "A_B"), ("A", "Not")),
        ("camel_case", ("getItem", " HttpServer"), ("Item", "ITEM")),
        ("underscore", ("_x", " a_b"), ("x",)),
        ("punctuation", (" (", "),"), ("a", " ", "")),
        ("whitespace", (" ", "\n\t"), ("", "a")),
        ("deep_indentation", ("\n        ",), ("\n    ", "        x")),
        ("undecodable", ("\ufffd",), ("a",)),
        ("python_keyword", (" import", "None"), ("print",)),
        ("pronoun", (" He", "them"), (" hemp", "'s")),
        ("month", (" May", "sept"), ("mayor",)),
        ("number_word", (" Seven",), ("7",)),
        ("code_keyword", (" const", "def"), (" Def", " constant")),
        ("year", (" 1984", "2024"), ("0984", "19845", "३१२३")),
        ("letters_and_digits", (" x1", "3D"), ("x", "12", "x_1")),
        ("repeated_mark", (" ====", "--"), ("=", "aa", "=-")),
        ("cyrillic", (" мир",), ("mir", "")),
        ("east_asian", ("字", " かな", "한"), ("a字", " ")),
        ("non_ascii_letter", ("é", " naïve"), ("e", "→")),
    ],
)
def test_classes(name: str, inside: tuple[str, ...], outside: tuple[str, ...]) -> None:
    assert all(map(CLASSES[name].holds, inside))
    assert not any(map(CLASSES[name].holds, outside))


def test_nothing_is_seen_across_the_border_of_two_windows() -> None:
    windows = Windows.of([("a", "b"), ("b", "a"), ()])
    assert Before(TokenIn(("b",)), 1, 9).mask(windows).tolist() == [False, False, False, True]
    assert not Repeated().mask(windows).any()
    assert not Recurring(1, 8).mask(windows).any()
    assert FirstTokens(1).mask(windows).tolist() == [True, False, True, False]
    assert LineStart().mask(windows).tolist() == [True, False, True, False]


def test_the_same_token_recurs_at_a_distance() -> None:
    tokens = ("a", "b", "a", "a", "c", "d", "a")
    assert holds(Recurring(1, 1), tokens) == {3}
    assert holds(Recurring(2, 2), tokens) == {2}
    assert holds(Recurring(1, 3), tokens) == {2, 3, 6}
    assert holds(Recurring(5, 99), tokens) == {6}


def test_windows_laid_end_to_end_are_as_one() -> None:
    apart = Windows.of([CODE]).followed_by(Windows.of([("new", "import")]))
    together = Windows.of([CODE, ("new", "import")])
    for condition, _ in CONDITIONS:
        assert condition.mask(apart).tolist() == condition.mask(together).tolist()


def test_what_was_tried_is_forgotten_and_what_was_known_is_not() -> None:
    known, tried = TokenIn(("a",)), TokenIn(("b",))
    first, second = Windows.of([("a", "b")]), Windows.of([("b", "c")])
    both = first.followed_by(second)
    known.mask(both)
    with both.forgetting():
        assert tried.mask(both).tolist() == [False, True, True, False]
        assert tried in first.memo
    assert tried not in first.memo
    assert tried not in second.memo
    assert known in first.memo
    assert tried.mask(both).tolist() == [False, True, True, False]


def test_the_strongest_branch_that_holds_speaks() -> None:
    rule = Rule((Branch(InClass("word"), 0.25), Branch(TokenIn(("import",)), 0.75)))
    assert rule.predict(("import", " os", ".")).tolist() == [0.75, 0.25, 0.0]
    assert rule.predict(()).shape == (0,)
    assert rule.strength == 0.75


def test_equality_leaves_order_aside() -> None:
    one = Rule((Branch(TokenIn(("a", "b")), 0.5), Branch(Repeated(), 0.1)))
    other = Rule((Branch(Repeated(), 0.1), Branch(TokenIn(("b", "a", "b")), 0.5)))
    assert one == other
    assert hash(one) == hash(other)
    assert one != Rule((Branch(TokenIn(("a",)), 0.5), Branch(Repeated(), 0.1)))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (None, "null"),
        ([], "list"),
        ({}, "branches"),
        ({"branches": []}, "branches"),
        ({"branches": [{"when": {"kind": "line_start"}}]}, "strength"),
        ({"branches": [{"when": {"kind": "line_start"}, "strength": 2}]}, "from 0 to 1"),
        ({"branches": [{"when": {"kind": "moon"}, "strength": 1}]}, "'moon'.*line_start"),
        ({"branches": [], "extra": 1}, "extra"),
    ],
)
def test_malformed_rules_name_what_is_wrong(data: object, named: str) -> None:
    with pytest.raises(RuleError, match=named):
        rule_from_json(data)


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "token_in", "tokens": []},
        {"kind": "token_in", "tokens": [1]},
        {"kind": "token_in", "tokens": ["a"], "folded": "yes"},
        {"kind": "token_class", "name": "moons"},
        {"kind": "affix", "text": "a", "at": "middle"},
        {"kind": "before", "condition": {"kind": "repeated"}, "nearest": 3, "farthest": 2},
        {"kind": "before", "nearest": 1, "farthest": 2},
        {"kind": "first_tokens", "count": 0},
        {"kind": "first_tokens", "count": True},
        {"kind": "inside", "what": "a dream"},
        {"kind": "all_of", "conditions": []},
        {"kind": "repeated", "tokens": ["a"]},
        {"kind": "word_in", "words": []},
        {"kind": "word_affix", "text": "", "at": "end"},
        {"kind": "word_before", "words": ["a"], "nearest": 2, "farthest": 1},
        {"kind": "word_before", "words": ["a"]},
        {"kind": "indented", "least": 0},
        {"kind": "foreseen"},
        {"kind": "induced", "count": 1},
    ],
    ids=str,
)
def test_malformed_conditions_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(RuleError):
        condition_from_json(data)


def test_a_long_text_is_counted_exactly() -> None:
    tokens = [f" w{i % 5000}" for i in range(200_000)]
    rule = Rule((Branch(AllOf((InClass("has_digit"), Before(TokenIn((" w3",)), 1, 8))), 0.5),))
    assert rule.predict(tokens).sum() == 0.5 * 8 * 40
