"""The rule judge: its answers by hand, and that what it writes says what the explanation says."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import difflib
import inspect
import pathlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from transformers import AutoTokenizer

from evaluation.baselines.token_tables import PairMeans, TokenMeans
from evaluation.candidate import Candidate, Predictor
from evaluation.held_out import FeatureText, Passage, SplitText
from evaluation.judges.judge import Detection, Judge, Marked
from evaluation.judges.rule import RuleJudge
from tests.fakes import FakeSubject, fake_corpus
from tests.subjects import CORPUS, make_tokenizer
from tools.activations import SubjectInfo, Tokenization
from tools.errors import Unscorable
from tools.model.tokenization import TextTokens
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
    Windows,
    WordAffix,
    WordBefore,
    WordIn,
)

DEMO = Path(__file__).parents[1] / "tools" / "demo" / "model"
MODULES = (argparse, ast, dataclasses, difflib, inspect, pathlib)
WORD = InClass("word")
NONE_WRITTEN = "only 0 of 10 texts could be written"

RULES: dict[str, Condition] = {
    "token": TokenIn((" import",)),
    "tokens": TokenIn((" import", " return", "self")),
    "any spelling": TokenIn(("return",), folded=True),
    "class": InClass("capitalised"),
    "line break": InClass("newline"),
    "beginning": Affix("re", "start"),
    "ending": Affix("ed", "end"),
    "right after": Before(TokenIn((" def", "def"))),
    "a while after": Before(TokenIn((" if",)), 2, 4),
    "first tokens": AllOf((FirstTokens(3), WORD)),
    "line start": AllOf((LineStart(), TokenIn(("return", " return", "def", " def", "class")))),
    "repeated": AllOf((Repeated(), InClass("capitalised"))),
    "recurring": AllOf((Recurring(1, 8), InClass("lower_case"))),
    "in quotes": Inside("quotes"),
    "in a string": Inside("long_string"),
    "in a comment": AllOf((Inside("comment"), WORD)),
    "in brackets": AllOf((Inside("brackets"), TokenIn((" is", " not", "self", ",")))),
    "word in pieces": WordIn(("argument", "parser"), folded=True),
    "word ending": AllOf((WordAffix("ing", "end"), InClass("word_piece"))),
    "after a word": AllOf((WordBefore(WordIn(("the", "a", "an")), 1, 3), InClass("word_piece"))),
    "sentence start": AllOf((SentenceStart(), InClass("capitalised"))),
    "indented": AllOf((Indented(4), TokenIn(("self", "if")))),
    "induced": AllOf((Induced(), InClass("word_start"))),
    "foreseen": Foreseen(TokenIn((".", "("))),
    "in a literal": AllOf((Inside("string"), WORD)),
    "exception": AllOf((TokenIn((" the", " a")), Not(Before(TokenIn((" of", " in")))))),
}


@dataclass
class Reader:
    """A tokenizer of its own, as a subject has it."""

    tokens: TextTokens
    window_size: int = 127

    @property
    def info(self) -> SubjectInfo:
        raise AssertionError("there is no model")

    def tokenize(self, text: str) -> list[int]:
        return self.tokens.ids(text)

    def surfaces(self, token_ids: Sequence[int]) -> list[str]:
        return self.tokens.surfaces(token_ids)


@cache
def reader(kind: str) -> Reader:
    demo: Any = AutoTokenizer
    made = demo.from_pretrained(DEMO) if kind == "demo" else make_tokenizer(kind)
    return Reader(TextTokens(made))


def split_of(tokenization: Tokenization, texts: Sequence[str]) -> SplitText:
    size = tokenization.window_size
    ids = [tokenization.tokenize(text) for text in texts]
    windows = [tuple(i[at : at + size]) for i in ids for at in range(0, len(i), size)]
    return SplitText(tuple(windows), tuple(tuple(tokenization.surfaces(w)) for w in windows))


@cache
def material(kind: str) -> SplitText:
    texts = [text for module in MODULES for text in inspect.getsource(module).split("\n\n\n")]
    return split_of(reader(kind), [*texts, *CORPUS * 20, *["undecodable 😀 or ∑"] * 5])


def one(condition: Condition, strength: float = 1.0) -> Rule:
    return Rule((Branch(condition, strength),))


def candidate(predictor: Predictor | None) -> Candidate:
    content = predictor.to_json() if isinstance(predictor, Rule) else {"is": repr(predictor)}
    return Candidate("agentic", 0, "Fires.", predictor, content)


def write(
    kind: str, predictor: Predictor, *, fires: bool, seed: int = 5, count: int = 10
) -> list[str]:
    answers = RuleJudge(reader(kind)).write(
        candidate(predictor), count, material(kind), seed, fires=fires
    )
    assert len(answers.values) == count
    assert bool(answers.failures) == (None in answers.values)
    assert answers.spent.calls == 0
    return [text for text in answers.values if text is not None]


def said(kind: str, predictor: Predictor, text: str) -> NDArray[np.float32]:
    """What is predicted when the subject reads the text."""
    return predictor.predict_windows(Windows.of([read(kind, text)]))


def read(kind: str, text: str) -> list[str]:
    return reader(kind).surfaces(reader(kind).tokenize(text))


def check(kind: str, predictor: Predictor, peak: float, n_firing: int = 10) -> None:
    firing = write(kind, predictor, fires=True)
    silent = write(kind, predictor, fires=False)
    assert len(set(firing)) == n_firing
    assert len(set(silent)) == 10
    assert all(said(kind, predictor, text).max() >= 0.5 * peak for text in firing)
    assert all(said(kind, predictor, text).max() <= 0.1 * peak for text in silent)
    for text in (*firing, *silent):
        assert 0 < len(read(kind, text)) <= reader(kind).window_size
        assert "\ufffd" not in "".join(read(kind, text))


# Writing


@pytest.mark.parametrize("name", RULES)
def test_texts_of_every_kind_of_rule_are_what_the_rule_says(name: str) -> None:
    check("demo", one(RULES[name], 0.7), 0.7)
    for text in write("demo", one(RULES[name]), fires=True):
        assert 5 <= len(text.split()) <= 15


def test_no_kind_of_condition_was_forgotten() -> None:
    met: set[str] = set()
    left: list[object] = [condition.to_json() for condition in RULES.values()]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            met |= {item["kind"]} if "kind" in item else set()
            left += item.values()
        elif isinstance(item, list):
            left += item
    assert met == set(Condition.kinds)


@pytest.mark.parametrize("kind", ["byte", "sentencepiece", "wordpiece"])
@pytest.mark.parametrize("at", [0, 5, 20])
def test_other_tokenizers_with_undecodable_pieces_among_their_tokens(kind: str, at: int) -> None:
    counted = Counter(token for window in material(kind).tokens for token in window)
    assert kind == "wordpiece" or any("\ufffd" in token for token in counted)
    letters = [token for token, _ in counted.most_common() if token.strip().isalpha()]
    rule = one(AllOf((TokenIn((letters[at],)), Not(FirstTokens(2)))))
    check(kind, rule, 1.0)


def test_a_judge_writes_the_same_once_more_and_other_texts_with_another_seed() -> None:
    rule = one(RULES["tokens"])
    for fires in (True, False):
        first, again = (write("demo", rule, fires=fires) for _ in range(2))
        assert first == again
        assert not set(first) & set(write("demo", rule, fires=fires, seed=6))


def test_what_was_written_before_changes_nothing() -> None:
    judge, rule = RuleJudge(reader("demo")), candidate(one(RULES["class"]))
    alone = judge.write(rule, 10, material("demo"), 5, fires=False).values
    other = RuleJudge(reader("demo"))
    other.write(candidate(one(RULES["token"])), 10, material("demo"), 5, fires=True)
    other.write(rule, 10, material("demo"), 5, fires=True)
    assert other.write(rule, 10, material("demo"), 5, fires=False).values == alone


def triggers(rule: Rule, texts: Sequence[str]) -> Counter[str]:
    """The token of each text on which most is predicted."""
    return Counter(read("demo", text)[int(said("demo", rule, text).argmax())] for text in texts)


def test_the_tokens_that_fire_take_turns_and_the_strongest_come_first() -> None:
    strong, weak = (" import", " return", "self", " not"), (" the", " of", " and")
    rule = Rule((Branch(TokenIn(weak), 0.8), Branch(TokenIn(strong), 0.9)))
    assert set(triggers(rule, write("demo", rule, fires=True, count=4))) == set(strong)
    both = triggers(rule, write("demo", rule, fires=True))
    assert set(both) == {*strong, *weak}
    assert max(both.values()) <= 2


@pytest.mark.parametrize(("weak", "met"), [(0.8, True), (0.79, False), (0.5, False)])
def test_only_what_is_predicted_strongly_is_written(weak: float, met: bool) -> None:
    rule = Rule((Branch(TokenIn((" import",)), 1.0), Branch(TokenIn((" the", " of")), weak)))
    assert (set(triggers(rule, write("demo", rule, fires=True))) != {" import"}) == met


def test_weaker_predictions_come_in_where_too_few_texts_show_the_strong_ones() -> None:
    # Only texts that begin with it fire, and two words are all that follows it in such a text.
    subject = FakeSubject(window_size=3)
    small = split_of(subject, ["cat red blue", "cat one two", "a dog run", "the dog say"] * 3)
    strong = AllOf((TokenIn(("cat",)), FirstTokens(1)))
    rule = Rule((Branch(strong, 1.0), Branch(TokenIn((" dog",)), 0.5)))
    judge = RuleJudge(subject)
    texts = judge.write(candidate(rule), 10, small, 1, fires=True).values
    kinds = [text.startswith("cat") for text in texts if text]
    assert 0 < sum(kinds) < len(kinds)
    assert kinds == sorted(kinds, reverse=True)


def test_a_weak_branch_neither_fires_nor_is_silent() -> None:
    rule = Rule((Branch(TokenIn((" return", " not")), 0.9), Branch(TokenIn((" the", "self")), 0.3)))
    check("demo", rule, 0.9)


def test_half_of_the_silent_texts_are_firing_ones_with_one_token_changed() -> None:
    rule = one(RULES["token"])
    firing = [read("demo", text) for text in write("demo", rule, fires=True)]
    silent = [read("demo", text) for text in write("demo", rule, fires=False)]
    apart = [
        min(
            sum(a != b for a, b in zip(other, text, strict=True)) if len(other) == len(text) else 99
            for other in firing
        )
        for text in silent
    ]
    assert apart[5:] == [1] * 5
    assert min(apart[:5]) > 3
    assert np.mean([len(text) for text in silent]) == pytest.approx(
        np.mean([len(text) for text in firing]), rel=0.5
    )


def test_a_cause_is_changed_where_the_token_that_fires_is_not_at_fault() -> None:
    rule = one(RULES["right after"])
    firing = {" ".join(read("demo", text)) for text in write("demo", rule, fires=True)}
    silent = [" ".join(read("demo", text)) for text in write("demo", rule, fires=False)]
    alike = [t for t in silent if any(SequenceMatcher(None, t, f).ratio() > 0.85 for f in firing)]
    assert len(alike) == 5


def test_the_words_before_a_token_lead_up_to_it() -> None:
    known = {pair for window in material("demo").tokens for pair in pairwise(window)}
    rule = one(RULES["tokens"])
    led = 0
    for text in write("demo", rule, fires=True):
        tokens, at = read("demo", text), int(said("demo", rule, text).argmax())
        led += tuple(tokens[at - 1 : at + 1]) in known
    assert led >= 8


def test_the_words_around_a_token_are_those_of_other_windows() -> None:
    windows = ["".join(window) for window in material("demo").tokens]
    pairs = [pair for window in material("demo").tokens for pair in pairwise(window)]
    counted = Counter(token for _, token in pairs)
    # Where the token before is rare too, hardly any other window could lead up to it.
    rare = tuple(b for a, b in pairs if b[1:].isalpha() and counted[a] <= 3 and counted[b] == 1)
    rule = one(TokenIn(rare))
    copied = 0
    for text in write("demo", rule, fires=True):
        at = int(said("demo", rule, text).argmax())
        up_to_it = "".join(read("demo", text)[: at + 1])
        copied += any(up_to_it in window for window in windows)
    assert copied == 0


def test_tokens_that_the_material_lacks_are_put_into_its_words() -> None:
    known = {token for window in material("demo").tokens for token in window}
    words = [token for token in reader("demo").surfaces(range(300, 4000)) if token[1:].isalpha()]
    absent = [word for word in words if word[0] == " " and word not in known]
    missing = next(word for word in absent if len(read("demo", word)) == 1)
    check("demo", one(TokenIn((missing,))), 1.0)
    check("demo", one(AllOf((TokenIn((" if",)), Before(TokenIn((missing,)))))), 1.0)
    check("demo", Rule((Branch(TokenIn((missing,)), 1.0), Branch(TokenIn((" the",)), 0.4))), 1.0)


def test_a_branch_that_no_text_can_show_does_not_silence_the_others() -> None:
    unreadable = " zebrafish"
    assert len(reader("demo").tokenize(unreadable)) > 1
    rule = Rule((Branch(TokenIn((unreadable,)), 1.0), Branch(TokenIn((" the",)), 0.3)))
    check("demo", rule, 0.3)


@pytest.mark.parametrize(
    "condition",
    [
        TokenIn((" zebrafish",)),
        TokenIn(("\ud800",)),
        InClass("undecodable"),
        AllOf((TokenIn((" a",)), TokenIn((" b",)))),
    ],
)
def test_what_nothing_fires_on_has_no_texts_and_says_so(condition: Condition) -> None:
    judge = RuleJudge(reader("byte"))
    answers = judge.write(candidate(one(condition)), 10, material("byte"), 5, fires=True)
    assert answers.values == (None,) * 10
    assert answers.failure_rate == 1
    assert answers.failures[0].startswith(NONE_WRITTEN)
    assert len(write("byte", one(condition), fires=False)) == 10


@pytest.mark.parametrize("condition", [InClass("any"), LineStart(), FirstTokens(1)])
def test_what_fires_on_every_text_has_no_silent_ones(condition: Condition) -> None:
    assert len(write("demo", one(condition), fires=True)) == 10
    answers = RuleJudge(reader("demo")).write(
        candidate(one(condition)), 10, material("demo"), 5, fires=False
    )
    assert answers.values == (None,) * 10
    assert answers.failures[0].startswith(NONE_WRITTEN)


def test_a_table_of_tokens_writes_as_well_as_a_rule() -> None:
    text = material("demo")
    random = np.random.default_rng(0)
    fires = one(TokenIn((" import", " return", " def"))).predict_windows(text.laid_out())
    noise = 0.02 * (random.random(len(fires)) < 0.01)
    feature = FeatureText(text, (4 * fires + noise).astype(np.float32))
    for table in (TokenMeans.of(feature, 4.0), PairMeans.of(feature, 4.0)):
        peak = float(table.predict_windows(text.laid_out()).max())
        check("demo", table, peak)


def test_short_windows_and_little_material_are_enough() -> None:
    subject = FakeSubject(window_size=12)
    small = split_of(subject, fake_corpus(2, 3))
    judge = RuleJudge(subject)
    rule = candidate(one(TokenIn((" cat",))))
    for fires in (True, False):
        texts = judge.write(rule, 10, small, 1, fires=fires).values
        assert all(texts), texts
        assert all(len(subject.tokenize(text)) <= 12 for text in texts if text)
        assert all((" cat" in text) == fires for text in texts if text)


def test_no_material_at_all_crashes_nothing() -> None:
    subject = FakeSubject()
    judge = RuleJudge(subject)
    for fires in (True, False):
        answers = judge.write(
            candidate(one(TokenIn((" cat",)))), 3, SplitText((), ()), 1, fires=fires
        )
        assert len(answers.values) == 3


# Judging

TOKENS = ("a", " cat", " and", " dog", " cat")
GRADED = Rule((Branch(TokenIn((" cat",)), 0.6), Branch(TokenIn((" dog",)), 0.2)))


def passage(tokens: Sequence[str], start: int = 0) -> Passage:
    return Passage("x", tuple(tokens), start, np.full(len(tokens) - start, np.nan, np.float32))


def judge() -> Judge:
    return RuleJudge(FakeSubject())


def test_predictions_are_cut_to_what_is_scored_and_made_with_the_context() -> None:
    repeated = one(AllOf((Repeated(), TokenIn((" cat",)))))
    passages = [passage(TOKENS), passage(TOKENS, 3), passage(TOKENS[3:])]
    values = judge().simulate(candidate(repeated), passages).values
    assert [v.tolist() for v in values if v is not None] == [[0, 0, 0, 0, 1], [0, 1], [0, 0]]
    assert all(v is not None and v.dtype == np.float64 for v in values)
    again = judge().simulate(candidate(repeated), passages, per_token=True).values
    assert [v.tolist() for v in again if v is not None] == [[0, 0, 0, 0, 1], [0, 1], [0, 0]]


def test_answers_follow_from_the_largest_prediction() -> None:
    passages = [passage(TOKENS), passage((" dog", "a"), 0), passage((" cat", "a"), 1)]
    detected = judge().detect(candidate(GRADED), passages).values
    strong, weak = float(np.float32(0.6)), float(np.float32(0.2))
    assert detected == (Detection(True, strong), Detection(True, weak), Detection(False, 0.0))
    assert judge().pick(candidate(GRADED), passages).values == (frozenset({0, 1}),)
    assert judge().rate(candidate(GRADED), passages).values == (2, 1, 0)
    assert judge().simulate(candidate(GRADED), []).values == ()


def test_below_a_tenth_of_the_scale_a_text_is_inactive() -> None:
    for strength, fires in ((0.09, False), (0.11, True)):
        rule = candidate(one(TokenIn((" cat",)), strength))
        [said] = judge().detect(rule, [passage(TOKENS)]).values
        assert said is not None
        assert said.fires == fires
        assert judge().rate(rule, [passage(TOKENS)]).values == (int(fires),)


def test_marks_are_right_if_at_least_half_of_them_fire() -> None:
    marked = [
        Marked(passage(TOKENS), (1, 3)),
        Marked(passage(TOKENS), (0, 1)),
        Marked(passage(TOKENS), (0, 1, 2)),
        Marked(passage(TOKENS, 2), (2,)),
    ]
    answers = judge().fuzz(candidate(GRADED), marked).values
    assert [a.fires for a in answers if a] == [True, True, False, True]
    assert [a.score for a in answers if a] == pytest.approx([0.4, 0.3, 0.2, 0.6])


def test_an_explanation_without_anything_to_execute_is_refused() -> None:
    bare = candidate(None)
    assert "executed" in judge().unable(bare)
    assert judge().unable(candidate(GRADED)) == ""
    with pytest.raises(Unscorable, match="executed"):
        judge().detect(bare, [passage(TOKENS)])
