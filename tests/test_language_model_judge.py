"""The language-model judge: what it shows, how often it asks, and what it makes of the answers."""

from __future__ import annotations

import json
import math
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tenacity import wait_fixed

from evaluation.candidate import Candidate
from evaluation.held_out import Passage, SplitText
from evaluation.judges.judge import JUDGES, Answers, Judge, Marked
from evaluation.judges.language_model import LanguageModelJudge, prompts_digest
from evaluation.judges.language_model.questions import PROMPTS
from evaluation.statistics import auroc, pooled_pearson
from graphs.storage import open_database
from tests.exams import fires
from tests.fakes import FakeSubject, fake_corpus
from tests.language_models import FakeLanguageModel, paid
from tests.llm_asking import asking
from tests.llm_server import ALL_FAULTS, Failure, LoopbackServer
from tests.llm_server.reading import read
from tests.llm_server.scientist import scientist
from tests.test_language_model_prompts import HOSTILE
from tools.database import Database
from tools.errors import (
    BudgetSpent,
    CallFailed,
    DatabaseError,
    LanguageModelUnusable,
    MalformedReply,
    RequestRefused,
)
from tools.llm import sending
from tools.llm.costs import NOTHING_SPENT
from tools.llm.language_model import Question
from tools.llm.settings import LlmBudget

NO_TEXT = SplitText((), ())
TEA = "Fires on the token ' tea'."


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "runs.duckdb"), create=True) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "BACK_OFF", wait_fixed(0.01))


def explained(description: str | None, feature: int = 3) -> Candidate:
    return Candidate("agentic", feature, description, None, {})


def passage(text: str, start: int = 0) -> Passage:
    """Words as tokens; activations that nobody must see."""
    words = text.split(" ")
    tokens = (words[0], *(f" {word}" for word in words[1:]))
    return Passage("w1@2", tokens, start, np.full(len(tokens) - start, 77.125, np.float32))


THREE = [passage("we drink tea at home"), passage("all is well here", 2), passage("no tea at all")]


def saying(*replies: dict[str, Any]) -> FakeLanguageModel:
    """A model that gives these replies in turn, without log-probabilities."""
    return FakeLanguageModel(*(lambda body, reply=reply: json.dumps(reply) for reply in replies))


Ask = Callable[[Judge, Candidate], Answers[Any]]
ASKED: dict[str, Ask] = {
    "simulate": lambda judge, candidate: judge.simulate(candidate, THREE),
    "per_token": lambda judge, candidate: judge.simulate(candidate, THREE, per_token=True),
    "detect": lambda judge, candidate: judge.detect(candidate, THREE),
    "fuzz": lambda judge, candidate: judge.fuzz(candidate, [Marked(p, (1,)) for p in THREE]),
    "pick": lambda judge, candidate: judge.pick(candidate, THREE),
    "rate": lambda judge, candidate: judge.rate(candidate, THREE),
    "write": lambda judge, candidate: judge.write(candidate, 4, NO_TEXT, 0, fires=True),
}
"""Every way of asking it."""
REQUESTS = {"per_token": 11, "simulate": 3}
"""How many it takes; one for all others."""
every_way = pytest.mark.parametrize("way", ASKED)


def test_it_needs_words_and_nothing_else() -> None:
    judge: Judge = LanguageModelJudge(saying({}))
    assert judge.name in JUDGES
    assert judge.asks
    assert judge.unable(explained(TEA)) == ""
    for description in (None, "", " \n"):
        assert "no description" in judge.unable(explained(description))


@every_way
def test_all_questions_go_out_at_once_as_the_judge(way: str) -> None:
    model = FakeLanguageModel(scientist)
    answers = ASKED[way](LanguageModelJudge(model), explained(TEA, feature=8))
    assert model.batches == [REQUESTS.get(way, 1)]
    assert {(q.role, q.feature) for q in model.questions} == {("judge", 8)}
    assert not answers.failures
    assert answers.failure_rate == 0.0
    assert answers.spent == paid(REQUESTS.get(way, 1))
    wished = way in ("simulate", "per_token", "detect", "fuzz")
    assert {q.top_logprobs for q in model.questions} == {20 if wished else 0}


def test_texts_are_judged_in_fives_and_rated_in_tens() -> None:
    model = FakeLanguageModel(scientist)
    judge = LanguageModelJudge(model)
    texts = [passage(f"number {n} of {'tea' if n % 3 else 'all'}") for n in range(23)]
    detected = judge.detect(explained(TEA), texts)
    assert [d is not None and d.fires for d in detected.values] == [n % 3 > 0 for n in range(23)]
    rated = judge.rate(explained(TEA), texts)
    assert rated.values == tuple(2 if n % 3 else 0 for n in range(23))
    judge.pick(explained(TEA), texts)
    assert model.batches == [5, 3, 1]
    sizes = [
        len(read({"messages": m, **_FORMAT}).blocks["texts"])
        for m in map(_messages, model.questions)
    ]
    assert sizes == [5, 5, 5, 5, 3, 10, 10, 3, 23]


_FORMAT = {"response_format": {"json_schema": {"name": "any", "schema": {}}}}


def _messages(question: Question[Any]) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": question.prompt.system},
        {"role": "user", "content": question.prompt.user},
    ]


def shown(question: Question[Any]) -> dict[str, Any]:
    """The data blocks of a prompt."""
    return dict(read({"messages": _messages(question), **_FORMAT}).blocks)


@every_way
def test_activations_ids_and_other_explanations_are_shown_to_nobody(way: str) -> None:
    model = FakeLanguageModel(scientist)
    content = {"rule": "secret-rule"}
    candidate = Candidate("max_token", 3, TEA, None, content, missing="secret-reason")
    ASKED[way](LanguageModelJudge(model), candidate)
    for prompt in model.prompts:
        for secret in ("77.1", "w1@2", "max_token", "secret"):
            assert secret not in prompt
        assert TEA in prompt


def test_context_is_shown_apart_from_what_is_scored() -> None:
    model = FakeLanguageModel(scientist)
    judge = LanguageModelJudge(model)
    text = passage("a cup of tea for us all", 4)
    judge.simulate(explained(TEA), [text])
    judge.simulate(explained(TEA), [text], per_token=True)
    judge.detect(explained(TEA), [text])
    whole, *places, detected = map(shown, model.questions)
    assert whole["text"] == [{"context": "a cup of tea", "text": " for us all"}]
    numbered = [{"n": n, "token": t} for n, t in enumerate((" for", " us", " all"), start=1)]
    assert whole["tokens"] == numbered
    # Nothing of what follows a token.
    assert [place["token"] for place in places] == [
        [{"before": "a cup of tea", "token": " for"}],
        [{"before": "a cup of tea for", "token": " us"}],
        [{"before": "a cup of tea for us", "token": " all"}],
    ]
    assert detected["texts"] == [{"n": 1, "context": "a cup of tea", "text": " for us all"}]


def test_picking_does_not_tell_how_many() -> None:
    model = FakeLanguageModel(scientist)
    LanguageModelJudge(model).pick(explained(TEA), THREE)
    (question,) = model.questions
    assert [row["n"] for row in shown(question)["texts"]] == [1, 2, 3]
    words = question.prompt.system + question.prompt.user.partition("</data>")[0]
    assert not set("123456789") & set(words)


def test_marks_stand_around_runs_of_tokens_and_nowhere_else() -> None:
    model = FakeLanguageModel(scientist)
    tokens = ("say ", "«", "tea", "» ", "or", " more", " tea")
    text = Passage("w0@0", tokens, 0, np.zeros(7, np.float32))
    LanguageModelJudge(model).fuzz(explained(TEA), [Marked(text, (2, 3, 6)), Marked(text, (0,))])
    (question,) = model.questions
    assert [row["text"] for row in shown(question)["texts"]] == [
        "say ‹«tea› »or more« tea»",
        "«say »‹tea› or more tea",
    ]


@every_way
@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_leaves_its_block(way: str, hostile: str) -> None:
    model = FakeLanguageModel(scientist)
    judge = LanguageModelJudge(model)
    evil = Passage("w0@0", ("all ", hostile, " tea"), 1, np.zeros(2, np.float32))
    about = explained(f"Fires on {hostile}.")
    ways: dict[str, Callable[[], Any]] = {
        "simulate": lambda: judge.simulate(about, [evil]),
        "per_token": lambda: judge.simulate(about, [evil], per_token=True),
        "detect": lambda: judge.detect(about, [evil]),
        "fuzz": lambda: judge.fuzz(about, [Marked(evil, (0,))]),
        "pick": lambda: judge.pick(about, [evil]),
        "rate": lambda: judge.rate(about, [evil]),
        "write": lambda: judge.write(about, 2, NO_TEXT, 0, fires=False),
    }
    ways[way]()
    plain = FakeLanguageModel(scientist)
    ASKED[way](LanguageModelJudge(plain), explained(TEA))
    for question in model.questions:
        usual = plain.questions[0].prompt
        assert question.prompt.system == usual.system
        assert question.prompt.user.count("<") == usual.user.count("<")
        data = shown(question)
        assert data["explanation"] == [
            {"description": f"Fires on {hostile}.".replace("\ud83d", "?")}
        ]
        control = {c for c in question.prompt.user if not c.isprintable()}
        assert control <= {"\n", "\u2009"}


NUMBERED = [
    ("simulate", {"activations": [1, 2, 3]}, "activations has 3 numbers.*`tokens` has 5 lines"),
    ("simulate", {"activations": [0, 0, 11, 0, 0]}, "less than or equal to 10"),
    ("simulate", {"activations": [0, 0, -1, 0, 0]}, "greater than or equal to 0"),
    ("simulate", {"activations": [0, 0, 0.5, 0, 0]}, "valid integer"),
    ("simulate", {"activations": None}, "valid list"),
    ("per_token", {"activation": 12}, "less than or equal to 10"),
    ("detect", {"fires": [1, 0]}, "`texts` has 3 lines"),
    ("detect", {"fires": [1, 0, 2]}, "less than or equal to 1"),
    ("fuzz", {"right": [1, 0, 1, 1]}, "right has 4 numbers"),
    ("pick", {"active": [1, 4]}, "no text 4; they are numbered 1 to 3"),
    ("pick", {"active": [0]}, "no text 0"),
    ("rate", {"ratings": [3, 1, 1]}, "less than or equal to 2"),
    ("rate", {"ratings": []}, "ratings has 0 numbers"),
    ("write", {"texts": ["", "  "]}, "0 different texts where 4"),
    ("write", {"texts": []}, "0 different texts"),
]


@pytest.mark.parametrize(("way", "reply", "told"), NUMBERED)
def test_unusable_replies_are_asked_again_and_then_are_failures(
    way: str, reply: dict[str, Any], told: str
) -> None:
    model = saying(reply)
    answers = ASKED[way](LanguageModelJudge(model), explained(TEA))
    assert answers.failure_rate == 1.0
    assert answers.failures
    assert all("no usable reply" in failure for failure in answers.failures)
    assert answers.lost == 0
    assert answers.spent.calls == 3 * REQUESTS.get(way, 1)
    assert any(re.search(told, complaint) for complaint in model.complaints)


@every_way
@pytest.mark.parametrize(
    ("error", "may_come"),
    [
        (CallFailed("down"), True),
        (RequestRefused("too long"), False),
        (BudgetSpent("usd=1 is used up"), True),
    ],
)
def test_what_was_not_answered_is_missing_with_the_reason(
    way: str, error: Any, may_come: bool
) -> None:
    answers = ASKED[way](LanguageModelJudge(FakeLanguageModel(error)), explained(TEA))
    wanted = {"pick": 1, "write": 4}.get(way, 3)
    assert answers.values == (None,) * wanted
    assert answers.failures == (str(error),)
    assert answers.lost == (wanted if may_come else 0)
    assert answers.spent == NOTHING_SPENT


def test_one_failure_leaves_the_others() -> None:
    bad = CallFailed("down")
    model = FakeLanguageModel(scientist, bad, scientist)
    simulated = LanguageModelJudge(model).simulate(explained(TEA), THREE)
    assert [value is None for value in simulated.values] == [False, True, False]
    assert (simulated.failures, simulated.failure_rate) == (("down",), pytest.approx(1 / 3))
    assert simulated.lost == 1
    model = FakeLanguageModel(scientist, bad, scientist)
    texts = [passage("the tea")] * 12
    detected = LanguageModelJudge(model).detect(explained(TEA), texts)
    assert [value is None for value in detected.values] == [False] * 5 + [True] * 5 + [False] * 2
    assert detected.lost == 5


def test_what_may_come_another_time_is_counted_apart_and_told_first() -> None:
    refused, failed = RequestRefused("too long"), CallFailed("down")
    model = FakeLanguageModel(refused, failed)
    answers = LanguageModelJudge(model).rate(explained(TEA), [passage("the tea")] * 12)
    assert answers.values == (None,) * 12
    assert answers.failures == ("down", "too long")
    assert answers.lost == 2


def test_a_text_with_one_unanswered_token_is_missing_whole() -> None:
    brains: list[Any] = [scientist] * 7
    brains[2] = CallFailed("down")
    answers = LanguageModelJudge(FakeLanguageModel(*brains)).simulate(
        explained(TEA), THREE, per_token=True
    )
    assert [value is None for value in answers.values] == [True, False, False]
    assert answers.lost == 1


def test_a_text_with_a_token_that_never_gets_an_answer_is_not_lost() -> None:
    brains: list[Any] = [scientist] * 12
    # THREE have 5, 2 and 4 scored tokens.
    brains[1], brains[2] = CallFailed("down"), MalformedReply("no number")
    brains[5], brains[6] = CallFailed("down"), BudgetSpent("used up")
    answers = LanguageModelJudge(FakeLanguageModel(*brains)).simulate(
        explained(TEA), THREE, per_token=True
    )
    assert [value is None for value in answers.values] == [True, True, False]
    assert answers.lost == 1


@pytest.mark.parametrize("error", [LanguageModelUnusable("no such model"), DatabaseError("full")])
@every_way
def test_what_ends_everything_is_raised(way: str, error: Exception) -> None:
    class Broken(FakeLanguageModel):
        def exchange(self, questions: Sequence[Question[Any]]) -> Any:
            raise error

    with pytest.raises(type(error)):
        ASKED[way](LanguageModelJudge(Broken(scientist)), explained(TEA))


def test_nothing_to_judge_is_no_failure() -> None:
    judge = LanguageModelJudge(FakeLanguageModel(scientist))
    nothing = Passage("w0@0", ("tea",), 1, np.zeros(0, np.float32))
    for per_token in (False, True):
        assert judge.simulate(explained(TEA), [], per_token=per_token).values == ()
        (value,) = judge.simulate(explained(TEA), [nothing], per_token=per_token).values
        assert value is not None
        assert value.shape == (0,)
    assert judge.detect(explained(TEA), []).values == ()
    assert judge.rate(explained(TEA), []).values == ()


def test_texts_are_stripped_and_told_apart() -> None:
    few = saying({"texts": [" a b ", "a b", "", "c"]})
    answers = LanguageModelJudge(few).write(explained(TEA), 4, NO_TEXT, 0, fires=True)
    assert answers.values == ("a b", "c", None, None)
    assert answers.failures == ("it wrote 2 different texts where 4 were asked for",)
    # Asked again for the missing ones, which does not help here.
    assert answers.spent == paid(3)
    brain = iter(['{"texts": ["a", "a"]}', '{"texts": ["a", "b", "c"]}'])
    second = FakeLanguageModel(lambda body: next(brain))
    answers = LanguageModelJudge(second).write(explained(TEA), 2, NO_TEXT, 0, fires=False)
    assert (answers.values, answers.failures) == (("a", "b"), ())


def test_writing_asks_for_one_sort_and_shows_no_material() -> None:
    model = FakeLanguageModel(scientist)
    judge = LanguageModelJudge(model)
    material = SplitText(((1, 2),), (("hidden", " words"),))
    firing = judge.write(explained(TEA), 10, material, 5, fires=True)
    silent = judge.write(explained(TEA), 10, material, 5, fires=False)
    assert all(" tea" in (text or "") for text in firing.values)
    assert not any("tea" in (text or "") for text in silent.values)
    assert len(set(firing.values) | set(silent.values)) == 20
    assert all(5 <= len((text or "").split()) <= 15 for text in firing.values + silent.values)
    assert not any("hidden" in prompt for prompt in model.prompts)


def test_the_digest_is_that_of_every_prompt_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = prompts_digest()
    for path in PROMPTS.iterdir():
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr("evaluation.judges.language_model.questions.PROMPTS", tmp_path)
    assert prompts_digest() == before
    for path in sorted(tmp_path.iterdir()):
        path.write_text(path.read_text() + "\n")
        assert prompts_digest() != before
        before = prompts_digest()


def test_scores_are_the_probability_of_yes(database: Database) -> None:
    with LoopbackServer(scientist) as server, asking(database, server) as model:
        answers = LanguageModelJudge(model).detect(explained(TEA), THREE)
    # The server's model says what it means with 1/2, and the next number with 1/4.
    yes, no = pytest.approx(2 / 3, abs=1e-5), pytest.approx(1 / 3, abs=1e-5)
    assert [(d.fires, d.score) for d in answers.values if d] == [
        (True, yes),
        (False, no),
        (True, yes),
    ]
    assert answers.how == "logprobs"


def test_one_request_per_text_and_none_per_token(database: Database) -> None:
    long = [passage(" ".join(["tea", "and", str(n)] * 20)) for n in range(4)]
    with LoopbackServer(scientist) as server, asking(database, server) as model:
        judge = LanguageModelJudge(model)
        whole = judge.simulate(explained(TEA), long)
        assert server.count == 4
        assert whole.spent.calls == 4
        server.reset()
        single = judge.simulate(explained(TEA), THREE, per_token=True)
        assert server.count == single.spent.calls == 11
    assert (whole.how, single.how) == ("logprobs", "per_token")
    assert [len(value) for value in whole.values if value is not None] == [60] * 4
    for passage_, value in zip(THREE, single.values, strict=True):
        assert value is not None
        fires = [token == " tea" for token in passage_.scored]
        assert ((value > 5) == fires).all()
        assert (value % 1 > 0).all()


@pytest.mark.parametrize(("manner", "refused"), [("ignore", 0), ("refuse", 3)])
def test_without_log_probabilities_it_goes_by_the_integers(
    database: Database, manner: Any, refused: int
) -> None:
    with LoopbackServer(scientist, logprobs=manner) as server, asking(database, server) as model:
        judge = LanguageModelJudge(model)
        answers = judge.simulate(explained(TEA), THREE)
        assert server.count == 3 + refused
        # Refused once, they are not asked for again.
        later = judge.detect(explained(TEA), THREE)
        places = judge.simulate(explained(TEA), THREE, per_token=True)
        assert server.count == 3 + refused + 1 + 11
    assert (answers.how, later.how, places.how) == ("integers", "integers", "per_token+integers")
    assert [list(value) for value in answers.values if value is not None] == [
        [0, 0, 9, 0, 0],
        [0, 0],
        [0, 9, 0, 0],
    ]
    assert [d and d.score for d in later.values] == [1.0, 0.0, 1.0]
    assert not answers.failures + later.failures + places.failures
    assert answers.spent.calls == 3


def test_a_refusal_for_another_reason_does_not_end_log_probabilities(database: Database) -> None:
    with LoopbackServer(scientist) as server, asking(database, server) as model:
        server.script(*[Failure(400, "This text is too long.")] * 2)
        judge = LanguageModelJudge(model)
        answers = judge.simulate(explained(TEA), THREE[:1])
        assert answers.values == (None,)
        assert "too long" in answers.failures[0]
        assert judge.simulate(explained(TEA), THREE).how == "logprobs"


def test_some_replies_may_come_without(database: Database) -> None:
    with LoopbackServer(scientist) as server, asking(database, server) as model:
        server.script(Failure(400, "Not this time."))
        answers = LanguageModelJudge(model).simulate(explained(TEA), THREE)
    assert answers.how == "logprobs+integers"
    assert answers.failure_rate == 0.0


def test_a_second_evaluation_gives_equal_answers_for_nothing(database: Database) -> None:
    prices = {"m": {"input": 1.0, "output": 2.0}}
    seen: list[list[Answers[Any]]] = []
    with LoopbackServer(scientist) as server:
        for run in ("a/evaluation", "b/evaluation"):
            with asking(database, server, run=run, prices=prices) as model:
                judge = LanguageModelJudge(model)
                seen.append([ask(judge, explained(TEA)) for ask in ASKED.values()])
        assert server.count == 3 + 11 + 5
    for first, second in zip(*seen, strict=True):
        assert second.spent == first.spent
        assert (first.spent.cost or 0) > 0
        assert second.how == first.how
        for one, other in zip(first.values, second.values, strict=True):
            np.testing.assert_equal(one, other)


def test_a_spent_budget_leaves_the_rest_unanswered(database: Database) -> None:
    with LoopbackServer(scientist) as server:
        with asking(database, server, per_run=LlmBudget(llm_calls=2), concurrency=1) as model:
            answers = LanguageModelJudge(model).simulate(explained(TEA), THREE)
        assert server.count == 2
    assert sum(value is None for value in answers.values) == answers.lost == 1
    assert "llm_calls=2 of the run is used up" in answers.failures[0]


def test_no_fault_of_a_server_becomes_a_number(database: Database) -> None:
    faults = [fault for fault in ALL_FAULTS if fault != "timeout"]
    harmless = {"prose", "fence", "no_usage", "absurd"}
    with LoopbackServer(scientist) as server, asking(database, server, max_retries=0) as model:
        judge = LanguageModelJudge(model)
        for fault in faults:
            server.script(*[fault] * 3)
            answers = judge.simulate(explained(TEA), [passage(f"drink tea {fault}")])
            server.reset()
            (value,) = answers.values
            assert (value is not None) == (fault in harmless), fault
            assert bool(answers.failures) == (value is None)
            assert value is None or int(np.argmax(value)) == 1


WORDS = {
    0: "Fires on the tokens 'return' and ' return'.",
    1: "Fires on numbers.",
    2: "Fires on capitalised words.",
    6: "Fires on ' cat' and ' dog', and 'cat' and 'dog'.",
    7: "Fires on punctuation marks.",
}
"""What some features of the fake subject do."""


def passages_of(subject: FakeSubject, feature: int) -> list[Passage]:
    """Four texts on which the feature fires, and as many on which it does not."""
    whole = [subject.tokenize(text)[4:] for text in fake_corpus(20)]
    ids = [tuple(tokens[start : start + 9]) for tokens in whole for start in range(0, 60, 9)]
    encoded = subject.encode_windows(ids, [feature])
    texts = [
        Passage(f"w{n}@0", tuple(subject.surfaces(window)), 0, values[:, 0])
        for n, (window, values) in enumerate(zip(ids, encoded, strict=True))
    ]
    firing, silent = (
        [text for text in texts if fires(text) == wanted][:4] for wanted in (True, False)
    )
    assert len(firing) == len(silent) == 4
    return [*firing, *silent]


@pytest.mark.parametrize(("feature", "other"), [(0, 6), (1, 0), (2, 7), (6, 2), (7, 1)])
def test_a_true_explanation_beats_another_feature_s(
    database: Database, feature: int, other: int
) -> None:
    subject = FakeSubject()
    texts = passages_of(subject, feature)
    true, false = explained(WORDS[feature]), explained(WORDS[other])
    with LoopbackServer(scientist) as server, asking(database, server) as model:
        judge = LanguageModelJudge(model)
        assert agreement(judge, true, texts) > 0.8
        assert agreement(judge, false, texts) < 0.4
        assert detection(judge, true, texts) == 1.0
        assert detection(judge, false, texts) < 0.8


@pytest.mark.parametrize("feature", [0, 1, 6, 7])
def test_texts_that_it_writes_do_what_the_explanation_says(
    database: Database, feature: int
) -> None:
    subject = FakeSubject(window_size=200)
    with LoopbackServer(scientist) as server, asking(database, server) as model:
        judge = LanguageModelJudge(model)
        for fires in (True, False):
            answers = judge.write(explained(WORDS[feature]), 5, NO_TEXT, 0, fires=fires)
            texts = [text for text in answers.values if text is not None]
            assert len(texts) == 5
            measured = subject.activations(texts, [feature])
            assert [bool(one.activations.any()) for one in measured] == [fires] * 5


def agreement(judge: Judge, candidate: Candidate, texts: Sequence[Passage]) -> float:
    answers = judge.simulate(candidate, texts)
    predicted = [value for value in answers.values if value is not None]
    assert len(predicted) == len(texts)
    statistic = pooled_pearson(predicted, [text.activations for text in texts])
    value = float(statistic(np.ones((1, len(texts))))[0])
    return 0.0 if math.isnan(value) else value


def detection(judge: Judge, candidate: Candidate, texts: Sequence[Passage]) -> float:
    answers = judge.detect(candidate, texts)
    scores = [value.score for value in answers.values if value is not None]
    return float(auroc(scores, [fires(t) for t in texts])(np.ones((1, len(texts))))[0])


def test_it_may_be_asked_from_many_threads(database: Database) -> None:
    found: Counter[str] = Counter()
    lock = threading.Lock()
    with LoopbackServer(scientist, logprobs="refuse") as server, asking(database, server) as model:
        judge = LanguageModelJudge(model)

        def work(number: int) -> None:
            answers = judge.simulate(explained(TEA), [passage(f"tea {number} tea")])
            with lock:
                found[answers.how] += 1

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {"integers": 8}
