"""The domain tables say what the checkpoints hold, and the README's SQL reads them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig

from graphs.checkpointer import DuckDBSaver, strict_serializer
from graphs.config import ROLES, parse_config
from graphs.context import ExplainContext, Limits, Policies
from graphs.explain import build_graph
from graphs.findings import Findings, export_record
from graphs.policies.protocols import Thresholds
from graphs.projecting import Change
from graphs.projection import DomainProjection, thread_of
from graphs.records import RECORD_TYPES
from graphs.runs import Run, RunStore
from graphs.state import ExplainState, initial_state
from graphs.storage import open_database
from tests.fakes import FakeSubject, Planted, fake_corpus
from tests.policies import ScriptedPolicy
from tools.corpus import CorpusSpec
from tools.database import Database
from tools.errors import PolicyError
from tools.harvest.harvest import harvest
from tools.harvest.sampling import sample_corpus

ROOT = Path(__file__).parent.parent
CONFIG = {
    "subject": {"model": "m", "sae": {"path": "s"}},
    "corpus": {"source": "python-stdlib"},
    "features": [0, 1, 2],
}


@pytest.fixture
def database(tmp_path: Path) -> Any:
    with open_database(str(tmp_path / "run.duckdb"), create=True) as database:
        yield database


@pytest.fixture
def run(database: Database) -> Run:
    run = RunStore(database).open(parse_config(CONFIG))
    RunStore(database).plan(run, [0, 1, 2], "harvest")
    return run


@pytest.fixture
def saver(database: Database) -> DuckDBSaver:
    serde = strict_serializer(RECORD_TYPES)
    return DuckDBSaver(database, serde=serde, projection=DomainProjection())


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ExplainContext:
    on_return = Planted("r", lambda tokens: [4.0 * (t.strip() == "return") for t in tokens])
    subject = FakeSubject(features=(on_return,))
    corpus = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    corpus.write_text("\n\n\n".join(fake_corpus(n_documents=40)))
    sample = sample_corpus(subject, CorpusSpec(str(corpus), max_tokens=20_000), 0)
    return ExplainContext(
        subject=subject,
        source=harvest(subject, sample, [0]),
        policies=Policies(**dict.fromkeys(ROLES, ScriptedPolicy())),
        limits=Limits(rounds=14, experiments=200, minutes=None),
        thresholds=Thresholds(),
        seed=0,
    )


def explain(saver: DuckDBSaver, run: Run, context: ExplainContext) -> ExplainState:
    config: RunnableConfig = {"configurable": {"thread_id": thread_of(run.name, 0)}}
    graph = build_graph(saver)
    graph.invoke(initial_state(run.name, 0), config, context=context, durability="sync")
    return graph.get_state(config).values  # type: ignore[return-value]


def test_rows_are_the_records(
    saver: DuckDBSaver, run: Run, context: ExplainContext, database: Database
) -> None:
    state = explain(saver, run, context)
    findings = Findings(database)
    rows = findings.hypotheses(run, 0)
    assert [(r["id"], r["status"], tuple(r["supporting"])) for r in rows] == [
        (h.id, h.status, h.supporting) for h in state["hypotheses"]
    ]
    experiments = findings.experiments(run, 0)
    assert [(e["id"], e["text"]) for e in experiments] == [
        (e.id, e.text) for e in state["experiments"]
    ]
    assert [(e["observation"], e["activations"]) for e in experiments] == [
        (o.id, list(o.activations)) for o in state["observations"]
    ]
    assert state["explanation"] is not None
    record = export_record(run, findings.snapshot(run, 0))
    assert record["description"] == state["explanation"].description
    assert record["status"] == "explained"


def test_earlier_versions_stay_in_the_log(
    saver: DuckDBSaver, run: Run, context: ExplainContext, database: Database
) -> None:
    explain(saver, run, context)
    statuses = database.rows(
        "SELECT status FROM hypotheses_log WHERE id = 'H2' ORDER BY checkpoint_id"
    )
    assert statuses == [("pending",), ("refuted",)]


def test_the_readmes_sql_finds_what_refuted_what(
    saver: DuckDBSaver, run: Run, context: ExplainContext, database: Database
) -> None:
    state = explain(saver, run, context)
    sql = re.search(r"```sql\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert sql
    rows = database.records(sql[1])
    refuted = {h.id: h for h in state["hypotheses"] if h.status == "refuted"}
    assert set(refuted) == {"H2", "H3"}
    assert len(rows) == sum(len(h.contradicting) for h in refuted.values()) == 5
    for row in rows:
        assert row["outcome"] != row["predicted"]
        assert row["statement"] == refuted[row["id"]].statement


def statuses(database: Database, run: Run) -> list[str]:
    return [row["status"] for row in Findings(database).features(run)]


def test_a_failure_counts_until_a_later_step(
    saver: DuckDBSaver, run: Run, context: ExplainContext, database: Database
) -> None:
    runs = RunStore(database)
    assert statuses(database, run) == ["pending"] * 3
    runs.record_failure(run, 0, PolicyError("it broke"))
    assert statuses(database, run) == ["failed", "pending", "pending"]
    assert Findings(database).feature(run, 0)["failure"] == "it broke"
    assert runs.unfinished(run) == [0, 1, 2]
    explain(saver, run, context)
    assert statuses(database, run)[0] == "explained"
    assert runs.unfinished(run) == [1, 2]


def test_deleting_and_copying_a_thread_takes_its_rows_along(
    saver: DuckDBSaver, run: Run, context: ExplainContext, database: Database
) -> None:
    explain(saver, run, context)
    saver.copy_thread(thread_of(run.name, 0), thread_of(run.name, 1))
    findings = Findings(database)
    assert len(findings.experiments(run, 1)) == len(findings.experiments(run, 0)) == 10
    saver.delete_thread(thread_of(run.name, 0))
    assert findings.experiments(run, 0) == findings.hypotheses(run, 0) == []
    assert len(findings.experiments(run, 1)) == 10


def test_text_that_is_no_unicode_is_spelt_out(database: Database, run: Run) -> None:
    runs = RunStore(database)
    runs.record_failure(run, 0, PolicyError("lone surrogate"))
    projection = DomainProjection()
    state = {**initial_state(run.name, 0), "hypotheses": [], "round": 3}
    with database.transaction() as connection:
        projection.project(connection, [Change(thread_of(run.name, 0), "c1", {}, state)])
    assert database.rows("SELECT round FROM features WHERE feature = 0") == [(3,)]
