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
    Repeated,
    Rule,
    TokenIn,
    Windows,
    condition_from_json,
    listing,
    rule_from_json,
    spelled,
    visible,
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
    assert FirstTokens(1).mask(windows).tolist() == [True, False, True, False]
    assert LineStart().mask(windows).tolist() == [True, False, True, False]


def test_windows_laid_end_to_end_are_as_one() -> None:
    apart = Windows.of([CODE]).followed_by(Windows.of([("new", "import")]))
    together = Windows.of([CODE, ("new", "import")])
    for condition, _ in CONDITIONS:
        assert condition.mask(apart).tolist() == condition.mask(together).tolist()


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


def random_rules(seed: int, number: int) -> list[Rule]:
    random = np.random.default_rng(seed)
    pool = [condition for condition, _ in CONDITIONS] + [Inside("quotes"), InClass("undecodable")]
    rules: list[Rule] = []
    for _ in range(number):
        chosen = [pool[int(i)] for i in random.integers(len(pool), size=3)]
        conditions: list[Condition] = [
            AllOf((chosen[0], Not(chosen[1]))),
            Before(chosen[2], 1, int(random.integers(1, 9))),
        ]
        rules.append(Rule(tuple(Branch(c, round(random.random(), 2)) for c in conditions)))
    return rules


def random_texts(seed: int, number: int) -> list[list[str]]:
    random = np.random.default_rng(seed)
    letters = [*"aZ1_ ('\"#.\n\t\r\0", "é", "\ufffd", "😀", "\u2028", "\ud800", "ß", "\u0301"]
    return [
        ["".join(random.choice(letters, size=random.integers(0, 5))) for _ in range(30)]
        for _ in range(number)
    ]


def test_json_round_trip_predicts_equally_on_any_text() -> None:
    for rule in random_rules(1, 40):
        again = rule_from_json(rule.to_json())
        assert again == rule
        assert hash(again) == hash(rule)
        for tokens in random_texts(2, 5):
            predicted = rule.predict(tokens)
            assert predicted.dtype == np.float32
            assert predicted.shape == (30,)
            assert np.array_equal(predicted, again.predict(tokens))
            assert ((predicted >= 0) & (predicted <= 1)).all()
        assert rule.sentence().isprintable()


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
    ],
    ids=str,
)
def test_malformed_conditions_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(RuleError):
        condition_from_json(data)


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (AllOf((TokenIn((" import",)), LineStart())), "the token ' import' at the start of a line"),
        (TokenIn(("if",), folded=True), "'if' in any spelling"),
        (TokenIn(("\n",)), "a bare line break"),
        (
            AllOf((InClass("number"), Before(TokenIn((" =",))), Not(Inside("quotes")))),
            "numbers right after the token ' =' except inside quotation marks",
        ),
        (Before(InClass("quote"), 1, 4), "any token within four tokens after quotation marks"),
        (AllOf((FirstTokens(1), Repeated())), "any token at the very start of the text and where"),
    ],
)
def test_conditions_in_words(condition: Condition, sentence: str) -> None:
    assert Rule((Branch(condition, 1.0),)).sentence().startswith(sentence)


def test_strengths_in_words() -> None:
    branches = [(TokenIn(("a",)), 0.9), (TokenIn(("b",)), 0.8), (InClass("number"), 0.3)]
    rule = Rule(tuple(Branch(condition, strength) for condition, strength in branches))
    assert rule.sentence() == "the tokens 'a' and 'b'; weakly numbers"


def test_tokens_are_made_visible_and_lists_cut_short() -> None:
    assert visible(" it's") == '" it\'s"'
    assert visible("\n    ") == "a line break and four spaces"
    assert visible("a\tb") == r"'a\tb'"
    assert visible("\u2028") == "a U+2028"
    assert listing(list("abcdefghi")) == "a, b, c, d and 5 more like these"
    depths = spelled([f"\n{' ' * depth}" for depth in range(9)])
    assert depths == "a line break with 0, 1, 2, 3 or other numbers of spaces"
    assert spelled(("\n    ", "\n        ", ":")) == "':' and a line break with 4 or 8 spaces"


def test_a_long_text_is_counted_exactly() -> None:
    tokens = [f" w{i % 5000}" for i in range(200_000)]
    rule = Rule((Branch(AllOf((InClass("has_digit"), Before(TokenIn((" w3",)), 1, 8))), 0.5),))
    assert rule.predict(tokens).sum() == 0.5 * 8 * 40
