"""Hypotheses with their tests, and what happened in which round."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphs.page.records import HypothesisNode, Round, Test
from graphs.page.summaries import Row, newest
from tools.database import Database


@dataclass(frozen=True, slots=True)
class Evidence:
    """The newest rows of a thread's logs."""

    hypotheses: Sequence[Row]
    experiments: Sequence[Row]
    observations: Sequence[Row]
    decided: Mapping[tuple[str, str], int]
    """In which round a hypothesis got a status for the last time."""


def evidence_of(database: Database, threads: Sequence[str]) -> dict[str, Evidence]:
    """The evidence of some threads; of all of them at once, as each log is one table."""
    hypotheses, experiments, observations = (
        _by_thread(newest(database, f"{name}_log", threads))
        for name in ("hypotheses", "experiments", "observations")
    )
    decided = _rounds_decided(database, threads)
    return {
        id: Evidence(hypotheses[id], experiments[id], observations[id], decided[id])
        for id in threads
    }


def hypotheses_of(evidence: Evidence, *, interpreted: bool) -> tuple[HypothesisNode, ...]:
    """The hypotheses of a thread as a tree written down: each followed by those that refine it.

    Args:
        evidence: of the thread.
        interpreted: whether to tell what the analysing policy reads out of the evidence.
    """
    measured = {row["experiment"]: row for row in evidence.observations}
    own: defaultdict[str, list[Test]] = defaultdict(list)
    for row in sorted(evidence.experiments, key=_place):
        own[row["hypothesis"]].append(_test(row, measured.get(row["id"])))
    rows = sorted(evidence.hypotheses, key=_place)
    if not interpreted:
        rows = [{**row, "interpretation": ""} for row in rows]
    return tuple(
        _node(row, depth, evidence.decided.get((row["id"], row["status"])), own[row["id"]])
        for row, depth in _in_tree_order(rows)
    )


def _place(row: Row) -> list[int]:
    """Where a record stands among those of its kind: `E10.2` after `E9.1`."""
    return [int(part) for part in row["id"][1:].split(".")]


def _by_thread(rows: Iterable[Row]) -> defaultdict[str, list[Row]]:
    grouped: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["thread_id"]].append(row)
    return grouped


def rounds_of(hypotheses: Sequence[HypothesisNode]) -> tuple[Round, ...]:
    """What happened in each round, from 0, in which hypotheses are first proposed."""
    events: defaultdict[int, list[str]] = defaultdict(list)
    for node in hypotheses:
        origin = f"{node.id} refines {node.parent}" if node.parent else f"{node.id} proposed"
        events[node.round].append(origin)
    for number in sorted({test.round for node in hypotheses for test in node.tests}):
        events[number].append(_tally([test for node in hypotheses for test in node.tests], number))
    for node in hypotheses:
        if node.decided is not None and node.status != "pending":
            events[node.decided].append(f"{node.id} {node.status}")
    return tuple(Round(number, tuple(events[number])) for number in sorted(events))


def _tally(tests: Sequence[Test], number: int) -> str:
    ran = [test for test in tests if test.round == number]
    held = sum(test.supports is True for test in ran)
    failed = sum(test.supports is False for test in ran)
    texts = "1 text" if len(ran) == 1 else f"{len(ran)} texts"
    return f"{texts} tested: {held} as predicted, {failed} against"


def _in_tree_order(rows: Sequence[Row]) -> Iterator[tuple[Row, int]]:
    known = {row["id"] for row in rows}
    children: defaultdict[str | None, list[Row]] = defaultdict(list)
    for row in rows:
        children[row["parent"] if row["parent"] in known else None].append(row)

    def below(parent: str | None, depth: int) -> Iterator[tuple[Row, int]]:
        for row in children[parent]:
            yield row, depth
            yield from below(row["id"], depth + 1)

    return below(None, 0)


def _rounds_decided(
    database: Database, threads: Sequence[str]
) -> defaultdict[str, dict[tuple[str, str], int]]:
    rows = database.rows(
        "SELECT h.thread_id, h.id, h.status, max(f.round) FROM (SELECT *, lag(status) OVER "
        "(PARTITION BY thread_id, id ORDER BY checkpoint_id, recorded_at) AS before "
        "FROM hypotheses_log WHERE thread_id IN (SELECT unnest(?))) h "
        "JOIN feature_log f ON f.thread_id = h.thread_id AND f.checkpoint_id = h.checkpoint_id "
        "WHERE h.status IS DISTINCT FROM h.before GROUP BY h.thread_id, h.id, h.status",
        [list(threads)],
    )
    decided: defaultdict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    for thread, id, status, number in rows:
        decided[thread][id, status] = number
    return decided


def _node(row: Row, depth: int, decided: int | None, tests: Sequence[Test]) -> HypothesisNode:
    return HypothesisNode(
        id=row["id"],
        statement=row["statement"],
        polarity=row["polarity"],
        status=row["status"],
        parent=row["parent"],
        depth=depth,
        round=row["round"],
        decided=None if row["status"] == "pending" else decided,
        note=row["note"],
        reason=row["reason"],
        interpretation=row["interpretation"],
        tests=tuple(tests),
    )


def _test(row: Row, measured: Row | None) -> Test:
    found = measured or {}
    return Test(
        id=row["id"],
        observation=found.get("id"),
        kind=row["kind"],
        purpose=row["purpose"],
        round=row["round"],
        predicted=row["predicted"],
        text=row["text"],
        tokens=tuple(found.get("tokens", ())),
        activations=tuple(found.get("activations", ())),
        max_activation=found.get("max_activation"),
        normalized=found.get("normalized"),
        outcome=found.get("outcome"),
        supports=found.get("supports"),
    )
