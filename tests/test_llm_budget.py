"""Budgets of calls, tokens and dollars: of a feature and of the run, across sessions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_fixed

from graphs.storage import open_database
from tests.llm_asking import GOOD, asking, good, question
from tests.llm_server import Failure, LoopbackServer, Reply
from tools.database import Database
from tools.errors import BudgetSpent, CallFailed, RequestRefused
from tools.llm import sending
from tools.llm.chat import Chat, Request
from tools.llm.settings import LlmBudget
from tools.llm.spending import FIRST_REPLY_TOKENS

PRICES = {"m": {"input": 1000.0, "output": 10000.0}}
USAGE = {"prompt_tokens": 10, "completion_tokens": 2}
"""12 tokens, 0.03 dollars."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "runs.duckdb"), create=True) as opened:
        yield opened


def outcomes(answers: list[Any]) -> list[str]:
    return ["spent" if isinstance(answer, BudgetSpent) else answer for answer in answers]


def asked_in_turn(model: Any, features: list[int], start: int = 0) -> list[Any]:
    return [
        model.ask([question(str(start + n), feature=feature)])[0]
        for n, feature in enumerate(features)
    ]


@pytest.mark.parametrize(
    ("budget", "left"),
    [
        (LlmBudget(llm_calls=2), 2),
        (LlmBudget(llm_calls=0), 0),
        (LlmBudget(tokens=24), 2),
        (LlmBudget(tokens=25), 3),
        (LlmBudget(usd=0.06), 2),
        (LlmBudget(usd=0.061), 3),
        (LlmBudget(), 4),
    ],
    ids=str,
)
@pytest.mark.parametrize("scope", ["feature", "run"])
def test_a_budget_ends_the_questions_of_its_scope(
    database: Database, budget: LlmBudget, left: int, scope: str
) -> None:
    budgets = {"per_feature": budget} if scope == "feature" else {"per_run": budget}
    features = [1, 1, 1, 1] if scope == "feature" else [1, 2, 3, 4]
    with (
        LoopbackServer(good) as server,
        asking(database, server, prices=PRICES, **budgets) as model,
    ):
        server.script(*[Reply(GOOD, usage=USAGE)] * 5)
        answers = asked_in_turn(model, features)
        assert outcomes(answers) == ["tea"] * left + ["spent"] * (4 - left)
        assert server.count == left
        if scope == "feature" and left:
            assert asked_in_turn(model, [2], start=10) == ["tea"]
    for answer in answers[left:]:
        name, limit = next(iter(budget.model_dump(exclude_none=True).items()))
        whose = "feature 1" if scope == "feature" else "the run"
        assert f"budget {name}={limit} of {whose} is used up" in str(answer)
    assert database.rows("SELECT count(*) FROM llm_calls WHERE attempts = 0") == [(0,)]


def test_a_budget_counts_what_earlier_sessions_of_the_run_used(database: Database) -> None:
    budget = LlmBudget(llm_calls=3)
    with LoopbackServer(good) as server:
        with asking(database, server, per_feature=budget) as model:
            assert asked_in_turn(model, [1, 1]) == ["tea", "tea"]
        with asking(database, server, per_feature=budget) as model:
            answers = asked_in_turn(model, [1, 1], start=2)
            assert outcomes(answers) == ["tea", "spent"]
        with asking(database, server, run="run-2", per_feature=budget) as model:
            assert asked_in_turn(model, [1], start=9) == ["tea"]


def test_answers_from_the_database_cost_nothing(database: Database) -> None:
    with (
        LoopbackServer(good) as server,
        asking(database, server, per_feature=LlmBudget(llm_calls=1)) as model,
    ):
        assert outcomes(asked_in_turn(model, [1, 1])) == ["tea", "spent"]
        assert asked_in_turn(model, [1]) == ["tea"]
        assert server.count == 1


def test_requests_in_flight_count_as_calls(database: Database) -> None:
    with (
        LoopbackServer(good, delay=0.1) as server,
        asking(database, server, per_run=LlmBudget(llm_calls=3)) as model,
    ):
        answers = model.ask([question(str(n), feature=n) for n in range(8)])
        assert outcomes(answers).count("tea") == 3
        assert server.count == 3


def test_attempts_that_fail_are_no_calls(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BACK_OFF", wait_fixed(0.01))
    with (
        LoopbackServer(good) as server,
        asking(database, server, max_retries=1, per_run=LlmBudget(llm_calls=2)) as model,
    ):
        server.script("500", "500", "500", None, "500", None)
        answers = asked_in_turn(model, [1, 1, 1, 1])
        assert isinstance(answers[0], CallFailed)
        assert outcomes(answers[1:]) == ["tea", "tea", "spent"]
        assert server.count == 6


LONG = {"prompt_tokens": 200, "completion_tokens": 2000}
"""2200 tokens, 20.2 dollars: what each further call is taken to use, but for some of the input."""


@pytest.mark.parametrize("budget", [LlmBudget(tokens=10_000), LlmBudget(usd=92.0)], ids=str)
@pytest.mark.parametrize("scope", ["per_feature", "per_run"])
def test_what_is_under_way_counts_as_what_it_will_likely_use(
    database: Database, budget: LlmBudget, scope: str
) -> None:
    with (
        LoopbackServer(good, delay=0.3) as server,
        asking(database, server, concurrency=20, prices=PRICES, **{scope: budget}) as model,
    ):
        server.script(*[Reply(GOOD, usage=LONG)] * 21)
        assert model.ask([question("first")]) == ["tea"]
        answers = model.ask([question(str(n)) for n in range(20)])
        # With the first, four do not use it up, and a fifth does.
        assert outcomes(answers) == ["tea"] * 4 + ["spent"] * 16
        assert server.count == 5
    assert database.rows("SELECT count(*) FROM llm_calls WHERE attempts = 0") == [(0,)]


def test_before_the_first_answer_a_call_counts_as_a_usual_one(database: Database) -> None:
    budget = LlmBudget(tokens=4 * FIRST_REPLY_TOKENS)
    with (
        LoopbackServer(good, delay=0.3) as server,
        asking(database, server, concurrency=20, per_run=budget) as model,
    ):
        answers = model.ask([question(str(n), feature=n) for n in range(20)])
        assert 1 <= outcomes(answers).count("tea") <= 4
        assert server.count == outcomes(answers).count("tea")
        # They used less than they were taken to: what is left is to be had.
        assert model.ask([question("later")]) == ["tea"]


def test_a_failed_attempt_gives_back_what_it_was_taken_to_use(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Chat, request: Request) -> Any:
        raise ZeroDivisionError("a bug")

    with LoopbackServer(good) as server:
        budget = LlmBudget(llm_calls=1, tokens=100)
        with asking(database, server, max_retries=0, per_run=budget) as model:
            server.script("500", Failure(422, "no"))
            assert isinstance(model.ask([question("1")])[0], CallFailed)
            assert isinstance(model.ask([question("2")])[0], RequestRefused)
            with monkeypatch.context() as patch:
                patch.setattr(Chat, "send", broken)
                with pytest.raises(ZeroDivisionError):
                    model.ask([question("3")])
            assert model.ask([question("4")]) == ["tea"]
    errors = database.rows("SELECT attempts, error FROM llm_calls WHERE error LIKE 'Zero%'")
    assert errors == [(1, "ZeroDivisionError: a bug")]
    assert database.rows("SELECT count(*) FROM llm_calls") == [(4,)]


def test_asking_again_counts_too(database: Database) -> None:
    with (
        LoopbackServer(good) as server,
        asking(database, server, per_feature=LlmBudget(llm_calls=1)) as model,
    ):
        server.script("empty")
        (answer,) = model.ask([question()])
        assert isinstance(answer, BudgetSpent)
    with LoopbackServer(good) as server, asking(database, server) as model:
        # The unusable reply still is stored: only the question that follows from it is sent.
        assert model.ask([question()]) == ["tea"]
        assert server.count == 1
        assert len(server.requests[0].body["messages"]) == 4


def test_a_server_that_reports_no_usage_is_not_free(database: Database) -> None:
    long = json.dumps({"word": "tea " * 3000})
    budget = LlmBudget(tokens=3000)
    with (
        LoopbackServer(good) as server,
        asking(database, server, per_feature=budget) as model,
    ):
        server.script(Reply(long, usage=None), Reply(long, usage=None))
        assert outcomes(asked_in_turn(model, [1, 1]))[1] == "spent"
    with LoopbackServer(good) as server, asking(database, server, per_feature=budget) as model:
        assert outcomes(asked_in_turn(model, [1], start=5)) == ["spent"]
    assert database.rows("SELECT tokens_in, tokens_out FROM llm_calls") == [(None, None)]
