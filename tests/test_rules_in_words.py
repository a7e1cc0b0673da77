"""Rules as sentences: what is said is what the rule says, in few words."""

from __future__ import annotations

import pytest

from graphs.policies.symbolic.statements import labels, propose, propose_silence
from tests.rule_cases import RuleMaker
from tools.rules import (
    Affix,
    AllOf,
    Before,
    Branch,
    Condition,
    FirstTokens,
    Foreseen,
    InClass,
    Indented,
    Induced,
    Inside,
    LineStart,
    Not,
    Recurring,
    Repeated,
    Rule,
    SentenceStart,
    TokenIn,
    WordAffix,
    WordBefore,
    WordIn,
    listing,
    tokens_in_words,
    visible,
)

MOST_WORDS = 60
"""Of a description, whatever it is put behind."""
HEDGE = "Nothing was confirmed; the best guess (measured r = 0.12): fires on"


@pytest.mark.parametrize("seed", range(90))
def test_no_rule_takes_more_words_than_can_be_read(seed: int) -> None:
    maker = RuleMaker(seed)
    rule = maker.rule(branches=1 + seed % 30, depth=seed % 5)
    said = rule.sentence()
    assert len(f"{HEDGE} {said}".split()) <= MOST_WORDS
    assert said.isprintable()
    assert "  " not in said.replace("'  ", "").replace("  '", "")
    for proposal in (propose(rule), propose_silence(rule)):
        assert len(proposal.statement.split()) <= MOST_WORDS
    assert 0 < len(labels(rule)) <= 4
    assert all(len(label.split()) <= MOST_WORDS for label in labels(rule))


IMPORT = AllOf((TokenIn((" import", "import")), LineStart(), Not(Inside("string"))))
FROM = AllOf((TokenIn((" from",)), Not(Inside("string"))))


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (AllOf((TokenIn((" import",)), LineStart())), "the token ' import' at the start of a line"),
        (TokenIn(("if",), folded=True), "'if' in any spelling"),
        (TokenIn(("\n",)), "a bare line break"),
        (
            AllOf((InClass("number"), Before(TokenIn((" =",))), Not(Inside("quotes")))),
            "numbers right after ' =' except inside quotation marks",
        ),
        (Before(InClass("quote"), 1, 4), "any token within four tokens after quotation marks"),
        (Before(TokenIn(("a", "b")), 2, 2), "any token two tokens after 'a' or 'b'"),
        (
            AllOf((FirstTokens(1), Repeated())),
            "any token at the very start of the text and where the same token came before",
        ),
        (
            AllOf((Affix("un", "start"), SentenceStart())),
            "tokens that begin with 'un' at the start of a sentence",
        ),
        (WordIn(("import",), folded=True), "words that so far read 'import' in any case"),
        (WordAffix("ing", "end"), "words that so far end with 'ing'"),
        (
            AllOf((InClass("number"), WordBefore(WordIn(("page", "pages")), 1, 4))),
            "numbers within four tokens after the word 'page' or 'pages'",
        ),
        (AllOf((InClass("number"), Recurring(2, 2))), "numbers two tokens after the same token"),
        (Induced(), "any token where the same two tokens came before"),
        (
            Foreseen(TokenIn(("(",))),
            "any token where the same token came before, followed by '('",
        ),
        (Indented(4), "any token on a line indented by four characters or more"),
        (Not(Not(LineStart())), "any token except anything but a token at the start of a line"),
        (
            AllOf((LineStart(), Not(AllOf((TokenIn(("a", "b")), Repeated()))))),
            "any token at the start of a line except 'a' or 'b' where the same token came before",
        ),
    ],
)
def test_conditions_in_words(condition: Condition, said: str) -> None:
    assert Rule((Branch(condition, 1.0),)).sentence() == said


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ((" import",), "the token ' import'"),
        ((" import", "import"), "'import' with or without a space"),
        ((" a", "b", "a", " b"), "'a' and 'b' with or without a space"),
        (
            (" an", "an", " An", "An", "AN", " AN", " aN"),
            "'an' in seven spellings",
        ),
        (tuple(",;:()[]"), "seven punctuation marks such as ',', ';' and ':'"),
        (
            (" he", " she", " He", " it", " them", " us", " you"),
            "seven pronouns such as ' he', ' she' and ' it'",
        ),
        (
            tuple(f" import{end}" for end in ("s", "ed", "er", "ing", "lib", "able", "ance")),
            "seven tokens that begin with 'import' such as ' imports', ' imported' and ' importer'",
        ),
        (
            ("making", "taking", " king", "ing", "ring", " Sing", "thing"),
            "seven tokens that end with 'ing' such as 'making', 'taking' and ' king'",
        ),
        (
            (" he", "(", " she", " it", " them", "{", " us", " you"),
            "six pronouns such as ' he', ' she' and ' it' and two other tokens such as '(' and '{'",
        ),
        (
            (" tea", " cup", " house", " of", " rain", " fell", " day"),
            "seven words such as ' tea', ' cup' and ' house'",
        ),
        (
            tuple(f"\n{' ' * n}" for n in range(9)),
            "a line break with 0, 1, 2, 3 or other numbers of spaces",
        ),
        (("\n    ", "\n        ", ":"), "the tokens ':' and a line break with 4 or 8 spaces"),
        ((" \ufffd", "\ufffd"), "undecodable bytes with or without a space"),
    ],
)
def test_sets_are_said_by_what_they_share(tokens: tuple[str, ...], said: str) -> None:
    assert tokens_in_words(tokens) == said


def test_strengths_in_words() -> None:
    branches = [(TokenIn(("a",)), 0.9), (TokenIn(("b",)), 0.8), (InClass("number"), 0.3)]
    rule = Rule(tuple(Branch(condition, strength) for condition, strength in branches))
    assert rule.sentence() == "the tokens 'a' and 'b'; weakly on numbers"


def test_what_all_branches_share_is_said_once() -> None:
    rule = Rule((Branch(IMPORT, 0.9), Branch(FROM, 0.5)))
    assert rule.sentence() == (
        "'import' with or without a space at the start of a line; "
        "less strongly on the token ' from'; but not inside a string"
    )
    placed = [AllOf((TokenIn((word,)), LineStart())) for word in ("a", "b")]
    rule = Rule((Branch(placed[0], 1.0), Branch(placed[1], 0.3)))
    assert rule.sentence() == (
        "the token 'a'; weakly on the token 'b'; all of it only at the start of a line"
    )


def test_what_is_said_of_the_last_is_not_said_of_all() -> None:
    rule = Rule(
        (Branch(AllOf((InClass("number"), LineStart())), 0.9), Branch(TokenIn(("b",)), 0.9))
    )
    assert rule.sentence() == "the token 'b', and numbers at the start of a line"


def test_long_rules_leave_weaker_tokens_to_the_rule() -> None:
    words = ("tea", "cup", "house", "rain")
    heavy = [
        AllOf(
            (
                TokenIn(tuple(f" {word}{end}" for end in ("", "s", "-", "?", "!"))),
                Before(InClass("quote"), 1, 4),
                Not(Before(TokenIn((" the", " of")), 1, 8)),
            )
        )
        for word in words
    ]
    branches = zip(heavy, (1.0, 0.7, 0.4, 0.1), strict=True)
    said = Rule(tuple(Branch(condition, strength) for condition, strength in branches)).sentence()
    assert "' tea'" in said
    assert "' rain'" not in said
    assert said.endswith("; also on three other things")
    assert len(said.split()) <= MOST_WORDS


BY = AllOf((TokenIn((" by",)), Before(TokenIn(("rit",)), 2, 2)))
THE = TokenIn((" the",))


def test_what_explains_most_is_said_first() -> None:
    rule = Rule((Branch(BY, 1.0), Branch(THE, 0.6), Branch(InClass("number"), 0.1)))
    assert rule.sentence([0.1, 0.7, 0.1]) == (
        "the token ' the'; more strongly on the token ' by' two tokens after 'rit'; "
        "weakly on numbers"
    )
    assert rule.sentence([0.7, 0.1, 0.1]).startswith("the token ' by' two tokens after 'rit'; less")


def test_the_strongest_is_told_from_what_is_stronger() -> None:
    rule = Rule((Branch(BY, 1.0), Branch(InClass("number"), 0.6), Branch(THE, 0.3)))
    assert rule.sentence([0.1, 0.2, 0.6]) == (
        "the token ' the'; most strongly on the token ' by' two tokens after 'rit'; "
        "more strongly on numbers"
    )


def test_what_explains_next_to_nothing_is_left_to_the_rule() -> None:
    rule = Rule((Branch(BY, 1.0), Branch(THE, 0.9)))
    assert rule.sentence([0.001, 0.95]) == "the token ' the'"


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.8, ""), (0.6, "; about 40%"), (0.34, "; about 70%"), (0.0, "; nearly all")],
)
def test_how_much_is_left_open_is_said(share: float, said: str) -> None:
    rest = f"{said} of its activation is left open" if said else ""
    assert Rule((Branch(THE, 1.0),)).sentence([share]) == f"the token ' the'{rest}"


def test_what_does_not_fit_counts_as_left_open() -> None:
    rule = Rule(tuple(Branch(AllOf((TokenIn((f" w{n}",)), BY)), 1.0) for n in range(10)))
    said = rule.sentence([0.1] * 10, most_words=30)
    assert len(said.split()) <= 30
    told = sum(f"' w{n}'" in said for n in range(10))
    assert 0 < told < 8
    assert said.endswith(f"about {100 - 10 * told}% of its activation is left open")


@pytest.mark.parametrize(
    ("tokens", "first", "again"),
    [
        (
            (" tea", " cup", " house", " rain"),
            "the tokens ' tea', ' cup', ' house' and ' rain'",
            "these tokens",
        ),
        (("\n    ",), "a line break with four spaces", "a line break with four spaces"),
    ],
)
def test_a_long_list_is_said_once(tokens: tuple[str, ...], first: str, again: str) -> None:
    parts = [AllOf((TokenIn(tokens), where)) for where in (LineStart(), Inside("string"))]
    assert Rule((Branch(parts[0], 1.0), Branch(parts[1], 0.3))).sentence([0.6, 0.4]) == (
        f"{first} at the start of a line; weakly on {again} inside a string"
    )


def test_labels_name_each_meaning() -> None:
    def named(*tokens: str) -> tuple[str, ...]:
        return labels(Rule((Branch(TokenIn(tokens), 1.0),)))

    assert named(" tea", " cup") == ("the token ' tea'", "the token ' cup'")
    assert named(" tea", "tea") == ("'tea' with or without a space",)
    assert named(" 1", " 2") == ("the tokens ' 1' and ' 2'",)
    assert named(*(f" {n}" for n in range(9))) == ("9 numbers such as ' 0' and ' 1'",)


def test_tokens_are_made_visible() -> None:
    assert visible(" it's") == '" it\'s"'
    assert visible("\n    ") == "a line break with four spaces"
    assert visible("a\tb") == r"'a\tb'"
    assert visible("\u2028") == "a U+2028"
    assert visible("x" * 60) == f"'{'x' * 24}…'"
    assert visible(" \ufffd") == "undecodable bytes after a space"
    assert listing(list("abcdefghi"), limit=6) == "a, b, c, d and 5 more like these"
