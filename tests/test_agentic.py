"""The explanations of a real run as candidates, and what they took."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from evaluation.agentic import agentic_candidates, proposing_spent
from evaluation.baselines.shuffled import Shuffled
from evaluation.baselines.untested import Untested
from graphs.config import parse_config
from graphs.findings import Findings
from graphs.run import finish_run
from graphs.runs import Run, RunStore
from graphs.storage import open_database
from tests.desks import desk, listed
from tests.fakes import FakeSubject, fake_corpus
from tools.database import Database
from tools.errors import NothingToScore, SubjectError
from tools.llm.costs import NOTHING_SPENT, Spent
from tools.llm.settings import LlmSettings
from tools.rules import Windows

RETURN, DEAD, RARE, ANIMALS, MARKS = 0, 3, 4, 6, 7


class Silent:
    """A Reporter that tells nobody."""

    def stage(self, message: str) -> None: ...
    def harvest(self, done: int, total: int) -> None: ...
    def features(self, done: int, total: int) -> None: ...
    def step(self, feature: int, node: str) -> None: ...


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Run]]:
    """A real run of the symbolic policy; one of its features fails."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "corpus.txt").write_text("\n\n\n".join(fake_corpus(n_documents=60)))
    content = {
        "subject": {"factory": f"{FakeSubject.__module__}:{FakeSubject.__name__}"},
        "corpus": {"source": str(folder / "corpus.txt"), "max_tokens": 20_000},
        "features": [RETURN, DEAD, RARE, ANIMALS, MARKS],
    }
    with open_database(str(folder / "run.duckdb"), create=True) as database:
        run = RunStore(database).open(parse_config(content))
        finish_run(database, run, Silent())
        harvest_key = RunStore(database).harvest(run)
        assert harvest_key
        RunStore(database).plan(run, [1, 2], harvest_key)
        RunStore(database).record_failure(run, 1, SubjectError("it broke."))
        yield database, run


def test_agentic_candidates_are_what_the_run_concluded(finished: tuple[Database, Run]) -> None:
    database, run = finished
    found = agentic_candidates(database, run)
    rows = {row["feature"]: row for row in Findings(database).features(run)}
    assert {each.explainer for each in found.values()} == {"agentic"}
    assert list(found) == list(rows)
    for feature in (RETURN, ANIMALS, MARKS):
        assert found[feature].description == rows[feature]["description"]
        assert found[feature].content == {"rule": json.loads(rows[feature]["rule"])}
        assert found[feature].spent == NOTHING_SPENT
        assert not found[feature].missing
    predictor = found[RETURN].predictor
    assert predictor
    tokens = Windows.of([["the", "return", "cat"]])
    assert (predictor.predict_windows(tokens) > 0).tolist() == [False, True, False]


def test_features_without_an_explanation_say_why(finished: tuple[Database, Run]) -> None:
    found = agentic_candidates(*finished)
    missing = {feature: each.missing for feature, each in found.items() if each.missing}
    assert missing == {
        DEAD: "the feature never fires on the corpus",
        RARE: "the feature fires too seldom on the corpus to be explained",
        1: "explaining the feature failed: it broke.",
        2: "the feature is not explained yet; `saesage resume` goes on with the run",
    }
    assert all(found[feature].description is None for feature in missing)


def test_a_run_without_any_explanation_has_nothing_to_score(
    finished: tuple[Database, Run],
) -> None:
    database, run = finished
    other = RunStore(database).open(run.config, new=True)
    with pytest.raises(NothingToScore, match="saesage explain.*saesage resume"):
        agentic_candidates(database, other)
    RunStore(database).plan(other, [DEAD], "harvest")
    with pytest.raises(NothingToScore, match=other.name):
        agentic_candidates(database, other)


CALL = (
    "INSERT INTO llm_calls (id, run, feature, role, tokens_in, tokens_out, cost, error, superseded)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, FALSE)"
)


def test_what_explanations_took_comes_from_the_ledger(finished: tuple[Database, Run]) -> None:
    database, run = finished
    policies: Mapping[str, str] = {"default": "language_model"}
    update = {"policies": policies, "llm": LlmSettings(model="m")}
    asking = replace(run, config=run.config.model_copy(update=update))
    unknown = Spent(0, None, None, None)
    with database.transaction() as connection:
        calls = [
            (RETURN, "explainer", 100, 10, 0.25, None),
            (RETURN, "explainer", 120, 12, 0.5, None),
            (RETURN, "explainer", None, None, None, "HTTP 500"),
            (RETURN, "designer", 50, 5, 0.125, None),
            (ANIMALS, "explainer", 100, None, None, None),
        ]
        connection.executemany(CALL, [(n, run.name, *call) for n, call in enumerate(calls)])
        connection.executemany(CALL, [(9, "other", RETURN, "explainer", 1, 1, 1.0, None)])
    try:
        spent = {f: c.spent for f, c in agentic_candidates(database, asking).items()}
        assert spent[RETURN] == Spent(3, 270, 27, 0.875)
        assert spent[ANIMALS] == Spent(1, 100, None, None)
        # Nothing was paid for, though a language model was asked: another run's replies served.
        assert spent[MARKS] == unknown
        assert spent[DEAD] == NOTHING_SPENT
        proposing = proposing_spent(database, asking)
        assert proposing[RETURN] == Spent(2, 220, 22, 0.75)
        assert proposing[ANIMALS] == Spent(1, 100, None, None)
        assert proposing[MARKS] == unknown
        assert proposing_spent(database, run)[MARKS] == NOTHING_SPENT
    finally:
        with database.transaction() as connection:
            connection.execute("DELETE FROM llm_calls")


def test_untested_and_shuffled_of_a_real_run(finished: tuple[Database, Run]) -> None:
    database, run = finished
    hypotheses = Findings(database).hypotheses(run, RETURN)
    untested = Untested().explain(desk(feature=RETURN, hypotheses=hypotheses))
    assert "'return'" in (untested.description or "")
    assert {"return", " return"} <= set(listed(untested))
    agentic = agentic_candidates(database, run)
    donor = Shuffled().explain(desk(feature=RETURN, agentic=agentic)).content["from"]
    assert donor in (ANIMALS, MARKS)
