"""Log-probabilities that the client asks for, keeps and hands on, and what exchanges have taken."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_fixed

from graphs.config import parse_config
from graphs.runs import Run
from graphs.services import Services
from graphs.storage import open_database
from tests.llm_asking import GOOD, asking, good, question
from tests.llm_server import Failure, LoopbackServer, Reply
from tools.database import Database
from tools.errors import (
    BudgetSpent,
    ConfigError,
    LanguageModelUnusable,
    MalformedReply,
    RequestRefused,
)
from tools.llm import sending
from tools.llm.costs import NOTHING_SPENT, Spent
from tools.llm.language_model import Exchange
from tools.llm.logprobs import from_json, reported, to_json
from tools.llm.replies import TokenLogprobs

KEY = "planted-7c1e5a90d4b26f38"
PRICES = {"m": {"input": 2.0, "output": 8.0}}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
COST = (1000 * 2.0 + 100 * 8.0) / 1e6


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(str(tmp_path / "runs.duckdb"), create=True) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "BACK_OFF", wait_fixed(0.01))


def only(exchanges: list[Exchange[Any]]) -> Exchange[Any]:
    (exchange,) = exchanges
    return exchange


def entry(token: str, logprob: Any = -0.5, **others: Any) -> dict[str, Any]:
    """One token of a `logprobs` object."""
    alternatives = [{"token": name, "logprob": value} for name, value in others.items()]
    return {"token": token, "logprob": logprob, "bytes": None, "top_logprobs": alternatives}


def test_they_are_asked_for_only_where_they_are_wanted(database: Database) -> None:
    with LoopbackServer(good) as server, asking(database, server) as model:
        plain = only(model.exchange([question()]))
        wished = only(model.exchange([question(top_logprobs=3)]))
        assert [plain.outcome, wished.outcome] == ["tea", "tea"]
        bodies = [request.body for request in server.requests]
    assert "logprobs" not in bodies[0]
    assert "top_logprobs" not in bodies[0]
    assert (bodies[1]["logprobs"], bodies[1]["top_logprobs"]) == (True, 3)
    assert plain.replies[0].logprobs is None
    tokens = wished.replies[0].logprobs
    assert tokens is not None
    assert "".join(each.token for each in tokens) == GOOD
    (number,) = [each for each in tokens if each.token == " 2"]
    expected = {" 2": 0.5, " 1": 0.25, " 3": 0.125}
    assert {t: math.exp(p) for t, p in number.alternatives.items()} == pytest.approx(expected)


def test_the_ledger_answers_with_them_and_with_what_they_took(tmp_path: Path) -> None:
    path = str(tmp_path / "runs.duckdb")
    with LoopbackServer(good) as server:
        server.script(Reply(GOOD, usage=USAGE))
        with (
            open_database(path, create=True) as database,
            asking(database, server, prices=PRICES) as model,
        ):
            fresh = only(model.exchange([question(top_logprobs=5)]))
        # Another process and run, which knows no prices: the call took what it took.
        with open_database(path, create=False) as database:
            with asking(database, server, run="run-1/evaluation") as model:
                again = only(model.exchange([question(top_logprobs=5, feature=4)]))
            assert database.rows("SELECT run, calls FROM llm_costs") == [("run-1", 1)]
        assert server.count == 1
    assert fresh.spent == Spent(1, 1000, 100, pytest.approx(COST))
    assert fresh.replies[0].logprobs
    assert again == fresh


def test_every_reply_that_was_read_is_told_and_counted(database: Database) -> None:
    with LoopbackServer(good) as server:
        server.script(Reply("no", usage=USAGE), Reply(GOOD, usage=USAGE))
        with asking(database, server, prices=PRICES) as model:
            first = only(model.exchange([question(top_logprobs=2)]))
        with asking(database, server) as model:
            again = only(model.exchange([question(top_logprobs=2)]))
        assert server.count == 2
    assert [reply.text for reply in first.replies] == ["no", GOOD]
    assert first.spent == Spent(2, 2000, 200, pytest.approx(2 * COST))
    assert again == first


def test_malformed_replies_count_and_what_was_not_sent_does_not(database: Database) -> None:
    with LoopbackServer(good) as server:
        server.script(*[Reply("no", usage=USAGE)] * 3, Failure(400, "No."))
        with asking(database, server, prices=PRICES, max_retries=0) as model:
            exchanges = [only(model.exchange([question(str(n))])) for n in range(2)]
        budget: Any = {"per_run": parse_config(CONFIG).budget.run}
        with asking(database, server, run="poor", **budget) as model:
            exchanges.append(only(model.exchange([question("3")])))
    malformed, refused, unpaid = exchanges
    assert isinstance(malformed.outcome, MalformedReply)
    assert (len(malformed.replies), malformed.spent.calls) == (3, 3)
    assert isinstance(refused.outcome, RequestRefused)
    assert isinstance(unpaid.outcome, BudgetSpent)
    for exchange in (refused, unpaid):
        assert (exchange.replies, exchange.spent) == ((), NOTHING_SPENT)


def test_usage_that_nobody_reports_is_unknown_not_nothing(database: Database) -> None:
    with LoopbackServer(good) as server, asking(database, server) as model:
        server.script(Reply(GOOD, usage=USAGE), Reply(GOOD, usage=None))
        known, unknown = (only(model.exchange([question(text)])) for text in ("1", "2"))
    assert known.spent == Spent(1, 1000, 100, None)
    assert unknown.spent == Spent(1, None, None, None)


def test_a_server_may_pass_over_the_wish(database: Database) -> None:
    with LoopbackServer(good, logprobs="ignore") as server, asking(database, server) as model:
        exchange = only(model.exchange([question(top_logprobs=5)]))
        assert server.requests[0].body["logprobs"] is True
    assert exchange.outcome == "tea"
    assert exchange.replies[0].logprobs is None


@pytest.mark.parametrize(
    "failure",
    [
        None,
        Failure(403, "You are not allowed to request logprobs from this model"),
        Failure(404, "No endpoint supports the parameter logprobs."),
    ],
    ids=["400", "403", "404"],
)
def test_a_refused_wish_is_no_broken_account(database: Database, failure: Failure | None) -> None:
    with LoopbackServer(good, logprobs="refuse" if failure is None else "give") as server:
        server.script(*[failure] * (failure is not None))
        with asking(database, server) as model:
            refused, plain = (only(model.exchange([question(top_logprobs=n)])) for n in (5, 0))
    assert isinstance(refused.outcome, RequestRefused)
    assert "logprobs" in str(refused.outcome)
    assert plain.outcome == "tea"


def test_any_other_403_still_ends_all(database: Database) -> None:
    with LoopbackServer(good) as server, asking(database, server) as model:
        server.script(Failure(403, "Your project may not use this model."))
        with pytest.raises(LanguageModelUnusable, match="may not use this model"):
            model.exchange([question(top_logprobs=5)])


@pytest.mark.parametrize("text", ["caf\u00e9 \U0001f375", "nul \u0000 and \ud800", '"quoted" {'])
def test_odd_tokens_come_back_from_the_ledger_as_they_were(database: Database, text: str) -> None:
    content = json.dumps({"word": text.replace("\ud800", "\ufffd")}, ensure_ascii=False)
    exchanges: list[Exchange[Any]] = []
    with LoopbackServer(lambda body: content.replace("\ufffd", "\ud800")) as server:
        for _ in range(2):
            with asking(database, server) as model:
                exchanges += model.exchange([question(top_logprobs=2)])
        assert server.count == 1
    assert exchanges[0] == exchanges[1]
    assert exchanges[0].replies[0].logprobs


def test_a_key_is_not_kept_in_pieces(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    content = json.dumps({"word": KEY})
    with (
        LoopbackServer(lambda body: content, require_key=KEY) as server,
        asking(database, server, api_key_env="MY_KEY") as model,
    ):
        exchange = only(model.exchange([question(top_logprobs=2)]))
    assert exchange.outcome == "[key]"
    assert exchange.replies[0].logprobs is None
    assert database.rows("SELECT count(*) FROM llm_calls WHERE logprobs IS NULL") == [(1,)]


def test_a_key_among_the_alternatives_is_not_kept(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "tea~2")
    with (
        LoopbackServer(good, require_key="tea~2") as server,
        asking(database, server, api_key_env="MY_KEY") as model,
    ):
        few, more = (only(model.exchange([question(top_logprobs=n)])) for n in (1, 4))
    assert few.replies[0].logprobs is not None
    assert more.replies[0].logprobs is None


def test_alternatives_that_read_alike_are_one() -> None:
    # Two pieces of an undecodable character, told apart by their bytes alone.
    half = {"token": "\ufffd", "logprob": math.log(0.25), "top_logprobs": []}
    whole = {"token": "a", "logprob": math.log(0.5)}
    never = {"token": "b", "logprob": -9999.0}
    impossible = {"token": "c", "logprob": -math.inf}
    found = reported(
        {"content": [{**half, "top_logprobs": [whole, half, half, never, impossible]}]}
    )
    assert found is not None
    assert found[0].token == "\ufffd"
    shares = {token: math.exp(p) for token, p in found[0].alternatives.items()}
    assert shares == pytest.approx({"a": 0.5, "\ufffd": 0.5})


def test_the_chosen_token_is_always_among_the_alternatives() -> None:
    found = reported({"content": [entry("z", -4.0, a=-0.1), entry("y", -3)]})
    assert found == (
        TokenLogprobs("z", {"z": -4.0, "a": -0.1}),
        TokenLogprobs("y", {"y": -3.0}),
    )
    assert from_json(to_json(found)) == found


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "content",
        {},
        {"content": None},
        {"content": []},
        {"content": "abc"},
        {"content": {"token": "a"}},
        {"content": [None]},
        {"content": [entry("a"), {"token": "b"}]},
        {"content": [{"token": 7, "logprob": -1.0}]},
        {"content": [entry("a", "-0.5")]},
        {"content": [entry("a", math.nan)]},
        {"content": [entry("a", True)]},
        {"content": [{**entry("a"), "top_logprobs": 5}]},
        {"content": [{**entry("a"), "top_logprobs": [["b", -1.0]]}]},
        {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5}]},
    ],
    ids=lambda told: json.dumps(told)[:40],
)
def test_what_has_another_form_is_none(told: Any) -> None:
    assert reported(told) is None


CONFIG: dict[str, Any] = {
    "subject": {"model": "m", "sae": {"path": "s"}},
    "corpus": {"source": "python-stdlib"},
    "features": [1],
    "llm": {"model": "m", "prices": PRICES},
    "budget": {"llm_calls": 1, "run": {"llm_calls": 0}},
}


def run_of(server: LoopbackServer, **changes: Any) -> Run:
    llm = {**CONFIG["llm"], "base_url": server.base_url}
    config = parse_config({**CONFIG, "llm": llm, **changes})
    return Run("run-1", config, config.config_hash)


def test_an_evaluation_has_books_and_a_budget_of_its_own(database: Database) -> None:
    budget = {"llm_calls": 1, "run": {"llm_calls": 3}}
    with LoopbackServer(good) as server:
        run = run_of(server, budget=budget)
        explaining, judging = Services(database, run), Services(database, run, evaluation=True)
        questions = [question(str(n)) for n in range(5)]
        first = [only(explaining.language_model().exchange([each])) for each in questions]
        assert [e.outcome == "tea" for e in first] == [True, *[False] * 4]
        later = [only(judging.language_model().exchange([each])) for each in questions]
        # The first is in the ledger already; no limit of a feature stops the next ones.
        assert [e.outcome == "tea" for e in later] == [True] * 4 + [False]
        assert isinstance(later[4].outcome, BudgetSpent)
        explaining.close()
        judging.close()
    costs = database.rows("SELECT run, feature, calls, tokens_in > 0 FROM llm_costs ORDER BY run")
    assert costs == [("run-1", 1, 1, True), ("run-1/evaluation", 1, 3, True)]


def test_an_evaluation_without_a_language_model_says_what_to_do(database: Database) -> None:
    config = parse_config({**CONFIG, "llm": None})
    services = Services(database, Run("run-1", config, config.config_hash), evaluation=True)
    with pytest.raises(ConfigError, match="is to judge.*`llm` section.*judge rule"):
        services.language_model()


def test_who_judges_has_settings_and_does_not_make_another_run(database: Database) -> None:
    with LoopbackServer(good) as server:
        llm = {"model": "m", "base_url": server.base_url}
        plain = run_of(server, llm=llm, budget={})
        judged = run_of(server, llm={**llm, "roles": {"judge": {"model": "wise"}}}, budget={})
        services = Services(database, judged, evaluation=True)
        services.language_model().ask([question(role="judge"), question(role="explainer")])
        services.close()
        assert {request.body["model"] for request in server.requests} == {"wise", "m"}
    assert judged.config_hash == plain.config_hash
    others = {**llm, "roles": {"reviewer": {"model": "wise"}}}
    assert run_of(server, llm=others, budget={}).config_hash != plain.config_hash
