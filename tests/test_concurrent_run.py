"""Features explained side by side: the same findings, exemplars read once, and a clean end."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graphs.checkpointer import DuckDBSaver, strict_serializer
from graphs.claims import Claims
from graphs.config import ROLES, parse_config
from graphs.config_file import load_config
from graphs.context import ExplainContext, Limits, Policies
from graphs.explain import build_graph
from graphs.explainer import Explainer
from graphs.findings import Findings, export_lines
from graphs.policies.protocols import Thresholds
from graphs.projection import DomainProjection, thread_of
from graphs.records import RECORD_TYPES
from graphs.run import finish_run
from graphs.runs import RunStore
from graphs.storage import open_database
from tests.crashes import FEATURES, make_run
from tests.fakes import FakeSubject, Planted, fake_corpus
from tests.policies import ScriptedPolicy
from tests.test_feature_workers import Workers
from tools.corpus import CorpusSpec
from tools.database import Database
from tools.errors import DatabaseError
from tools.exemplars import Split
from tools.harvest.harvest import Harvest, harvest
from tools.harvest.recent import RecentExemplars
from tools.harvest.sampling import sample_corpus

N = 8
CONFIG = {
    "subject": {"model": "m", "sae": {"path": "s"}},
    "corpus": {"source": "python-stdlib"},
    "features": [f"0-{N - 1}"],
}


class Waiting(ScriptedPolicy):
    """Waits as if for a server, a different time at each call, and is told apart by feature."""

    def __init__(self, together: int = 1) -> None:
        self.meeting = threading.Barrier(together)

    def __getattribute__(self, name: str) -> Any:
        if name in ("design_experiments", "analyze_evidence", "refine_hypotheses", "conclude"):
            time.sleep(random.uniform(0, 0.004))
        return super().__getattribute__(name)

    def generate_hypotheses(self, dossier: Any) -> Any:
        # Passed only if so many features are at this point at the same time.
        self.meeting.wait(timeout=10)
        own, *others = super().generate_hypotheses(dossier)
        return [own.model_copy(update={"statement": f"F{dossier.feature}"}), *others]


def strong_on(word: str, factor: float) -> Planted:
    return Planted(word, lambda tokens: [factor * (t.strip() == word) for t in tokens])


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeSubject, Harvest]:
    subject = FakeSubject(features=tuple(strong_on("return", 1.0 + n) for n in range(N)))
    corpus = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    corpus.write_text("\n\n\n".join(fake_corpus(n_documents=40)))
    sample = sample_corpus(subject, CorpusSpec(str(corpus), max_tokens=8_000), 0)
    return subject, harvest(subject, sample, range(N))


def explainer_of(
    database: Database, measured: tuple[FakeSubject, Harvest], policy: object
) -> Explainer:
    run = RunStore(database).open(parse_config(CONFIG))
    RunStore(database).plan(run, range(N), "harvest")
    serde = strict_serializer(RECORD_TYPES)
    saver = DuckDBSaver(database, serde=serde, projection=DomainProjection())
    context = ExplainContext(
        subject=measured[0],
        source=RecentExemplars(measured[1], features=N),
        policies=Policies(**dict.fromkeys(ROLES, policy)),
        limits=Limits(rounds=14, experiments=200, minutes=None),
        thresholds=Thresholds(),
        seed=0,
    )
    return Explainer(run, build_graph(saver), context, saver, {}, Claims())


def exported(path: Path, measured: Any, in_flight: int) -> list[dict[str, Any]]:
    with open_database(str(path), create=True) as database:
        explainer = explainer_of(database, measured, Waiting(together=in_flight))
        Workers(explainer.explain, in_flight).finish(range(N))
        assert_rows_agree(database, explainer)
        records = map(json.loads, export_lines(Findings(database), explainer.run))
        return [{**record, "seconds": None} for record in records]


def assert_rows_agree(database: Database, explainer: Explainer) -> None:
    findings = Findings(database)
    for feature in range(N):
        thread: Any = {"configurable": {"thread_id": thread_of(explainer.run.name, feature)}}
        state = explainer.graph.get_state(thread).values
        rows = findings.hypotheses(explainer.run, feature)
        assert [(r["id"], r["statement"], r["status"]) for r in rows] == [
            (h.id, h.statement, h.status) for h in state["hypotheses"]
        ]
        assert rows[0]["statement"] == f"F{feature}"
    twice = "SELECT id FROM observations_log GROUP BY thread_id, id HAVING count(*) > 1"
    assert database.rows(twice) == []


def test_side_by_side_finds_what_one_after_another_does(tmp_path: Path, measured: Any) -> None:
    alone = exported(tmp_path / "alone.duckdb", measured, in_flight=1)
    assert exported(tmp_path / "together.duckdb", measured, in_flight=N) == alone
    assert [record["status"] for record in alone] == ["explained"] * N


class Quiet:
    """A Reporter that stops the run at the given step, counted over all features."""

    def __init__(self, last: float = float("inf")) -> None:
        self.left, self.lock = last, threading.Lock()

    def stage(self, message: str) -> None: ...
    def harvest(self, done: int, total: int) -> None: ...
    def features(self, done: int, total: int) -> None: ...
    def step(self, feature: int, node: str) -> None:
        with self.lock:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt


def test_neither_company_nor_interrupts_change_an_export(tmp_path: Path) -> None:
    path = make_run(tmp_path)

    def finished(name: str, n: int, stops: tuple[int, ...] = ()) -> list[dict[str, Any]]:
        config = load_config(path, [f"concurrency={n}"], database=str(tmp_path / f"{name}.duckdb"))
        for stop in stops:
            with open_database(config.database, create=True) as database:
                run = RunStore(database).open(config)
                with pytest.raises(KeyboardInterrupt):
                    finish_run(database, run, Quiet(stop))
        with open_database(config.database, create=True) as database:
            run = RunStore(database).open(config)
            finish_run(database, run, Quiet())
            ((n_rows, n_distinct),) = database.rows(
                "SELECT count(*), count(DISTINCT (feature, text_hash)) FROM measured_texts"
            )
            texts = "SELECT count(DISTINCT (feature, text)) FROM experiments"
            assert [(n_distinct,)] == database.rows(texts) == [(n_rows,)]
            records = map(json.loads, export_lines(Findings(database), run))
            return [{**record, "seconds": None} for record in records]

    serial = finished("serial", 1)
    assert [record["feature"] for record in serial] == FEATURES
    assert all(record["experiments"] for record in serial)
    assert finished("concurrent", len(FEATURES)) == serial
    assert finished("interrupted", len(FEATURES), stops=(7, 5, 9)) == serial


def test_how_many_at_a_time_does_not_make_another_run() -> None:
    configs = [parse_config({**CONFIG, **more}) for more in ({}, {"concurrency": 9})]
    assert configs[0].config_hash == configs[1].config_hash
    assert [config.concurrency for config in configs] == [None, 9]


def test_exemplars_are_read_once_and_not_kept_for_ever(measured: Any) -> None:
    reads: Counter[tuple[int, Split]] = Counter()

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(measured[1], name)

        def exemplars(self, feature: int, split: Split) -> Any:
            reads[feature, split] += 1
            return measured[1].exemplars(feature, split)

    source = RecentExemplars(Counting(), features=2)  # type: ignore[arg-type]
    for _ in range(3):
        assert [e.id for e in source.exemplars(0, "test")] == [
            e.id for e in measured[1].exemplars(0, "test")
        ]
        assert source.token_table(0) is source.token_table(0)
    assert reads == {(0, "test"): 1}
    for feature in range(N):
        source.exemplars(feature, "test")
    source.exemplars(0, "test")
    assert reads[0, "test"] == 2
    with pytest.raises(ValueError, match="read-only"):
        source.exemplars(0, "test")[0].activations[0] = 1


def test_a_stopped_feature_ends_before_its_next_step_and_resumes(
    tmp_path: Path, measured: Any
) -> None:
    class Stopping(Waiting):
        def design_experiments(self, dossier: Any, case: Any, room: int) -> Any:
            if dossier.feature == 0:
                raise DatabaseError("gone")
            until_stopped()
            return super().design_experiments(dossier, case, room)

    released = threading.Event()

    def until_stopped() -> None:
        assert released.wait(timeout=10)

    with open_database(str(tmp_path / "a.duckdb"), create=True) as database:
        explainer = explainer_of(database, measured, Stopping(together=N))
        workers = Workers(explainer.explain, N, release=released.set)
        with pytest.raises(DatabaseError, match="gone"):
            workers.finish(range(N))
        assert "run_experiments" not in {node for _, node in workers.steps}
        # What the stopped step found is stored, so that no call is paid twice.
        stored = Counter(f for (f,) in database.rows("SELECT DISTINCT feature FROM hypotheses"))
        assert stored == Counter(range(N))
        policies = Policies(**dict.fromkeys(ROLES, ScriptedPolicy()))
        again = replace(explainer, context=replace(explainer.context, policies=policies))
        Workers(again.explain, N).finish(range(N))
        assert_rows_agree(database, again)
