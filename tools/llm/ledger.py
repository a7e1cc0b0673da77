"""Every question that was sent, with its reply and cost: table `llm_calls`."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tools.database import Database, insert
from tools.llm.costs import Spent
from tools.llm.logprobs import from_json, to_json
from tools.llm.replies import Answer, PaidReply, Reply, Usage

LLM_DDL: tuple[str, ...] = (
    "CREATE TABLE IF NOT EXISTS llm_calls (id BIGINT, run VARCHAR, feature INTEGER, role VARCHAR, "
    "model VARCHAR, prompt_hash VARCHAR, request_hash VARCHAR, request JSON, reply VARCHAR, "
    "finish_reason VARCHAR, logprobs JSON, tokens_in BIGINT, tokens_out BIGINT, "
    "tokens_cached BIGINT, tokens_reasoning BIGINT, latency DOUBLE, attempts INTEGER, "
    "cost DOUBLE, error VARCHAR, asked_at TIMESTAMP, superseded BOOLEAN)",
    # A sum with an unknown part is unknown: a server that reports nothing is not one that is free.
    "CREATE VIEW IF NOT EXISTS llm_costs AS SELECT run, feature, "
    "count(*) FILTER (error IS NULL) AS calls, sum(attempts)::BIGINT AS requests, "
    "CASE WHEN bool_and(error IS NOT NULL OR tokens_in IS NOT NULL) "
    "THEN coalesce(sum(tokens_in), 0)::BIGINT END AS tokens_in, "
    "CASE WHEN bool_and(error IS NOT NULL OR tokens_out IS NOT NULL) "
    "THEN coalesce(sum(tokens_out), 0)::BIGINT END AS tokens_out, "
    "CASE WHEN bool_and(error IS NOT NULL OR cost IS NOT NULL) "
    "THEN coalesce(sum(cost), 0) END AS cost, coalesce(sum(latency), 0) AS seconds_waited "
    "FROM llm_calls GROUP BY run, feature",
)
"""`llm_calls` has a row for each question that was sent, asking again included; rows are only ever
added, and marked superseded when a feature failed for want of a usable reply. `attempts` counts the
HTTP requests that it took, `latency` is in seconds and, like `asked_at` (UTC), that of the last
attempt; `cost` in US dollars is NULL without prices, `error` is NULL if there is a reply;
`logprobs` has the reply's tokens, each with its alternatives, and is NULL where these were not
asked for or not given.
`llm_costs` sums up by run and feature; `calls` are the answered ones, `requests` all attempts."""

_COUNTS = "error IS NULL AND NOT superseded"
"""Of a row: its reply answers an identical request."""


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """What a call that was answered used."""

    feature: int
    model: str
    usage: Usage
    cost: float | None
    n_sent: int
    """Characters of the request."""
    n_received: int
    """Characters of the reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One row of `llm_calls`."""

    run: str
    feature: int
    role: str
    model: str
    prompt_hash: str
    request_hash: str
    request: str
    """The request's body as JSON."""
    answer: Answer | None
    latency: float | None
    attempts: int
    cost: float | None
    error: str | None
    asked_at: datetime
    """With its time zone."""

    def used(self, answer: Answer) -> AnsweredCall:
        """What the call used, with its answer."""
        sent, received = len(self.request), len(answer.reply.text)
        return AnsweredCall(self.feature, self.model, answer.usage, self.cost, sent, received)

    def paid(self, answer: Answer) -> PaidReply:
        """The answer's reply, and what the call took."""
        usage = answer.usage
        return PaidReply(answer.reply, Spent(1, usage.tokens_in, usage.tokens_out, self.cost))

    def row(self, row_id: int) -> tuple[Any, ...]:
        """The columns' values, in order."""
        replied = (None,) * 7 if self.answer is None else _columns(self.answer)
        asked = (self.run, self.feature, self.role, self.model, self.prompt_hash)
        took = (self.latency, self.attempts, self.cost, self.error)
        at = self.asked_at.astimezone(UTC).replace(tzinfo=None)
        return (row_id, *asked, self.request_hash, self.request, *replied, *took, at, False)


def _columns(answer: Answer) -> tuple[Any, ...]:
    usage = answer.usage
    counts = (usage.tokens_in, usage.tokens_out, usage.tokens_cached, usage.tokens_reasoning)
    reply = answer.reply
    return (reply.text, reply.finish_reason, to_json(reply.logprobs), *counts)


def _paid(
    text: str,
    finish_reason: str | None,
    logprobs: str | None,
    tokens_in: int | None,
    tokens_out: int | None,
    cost: float | None,
) -> PaidReply:
    reply = Reply(text, finish_reason, from_json(logprobs))
    return PaidReply(reply, Spent(1, tokens_in, tokens_out, cost))


class Ledger:
    """Writes `llm_calls` and answers from it. All but the constructor belongs to one event loop."""

    def __init__(self, database: Database) -> None:
        """Read which requests have a reply, in a database that has LLM_DDL."""
        self._database = database
        ((last,),) = database.rows("SELECT coalesce(max(id), 0) FROM llm_calls")
        self._ids = itertools.count(last + 1)
        answered = f"SELECT DISTINCT request_hash FROM llm_calls WHERE {_COUNTS}"
        self._known = {request_hash for (request_hash,) in database.rows(answered)}
        self._queue: list[tuple[int, LedgerEntry]] = []
        self._next: asyncio.Task[None] | None = None
        self._newest: asyncio.Task[None] | None = None

    def answered(self, run: str) -> list[AnsweredCall]:
        """The calls of a run that were answered, oldest first."""
        rows = self._database.rows(
            "SELECT feature, model, tokens_in, tokens_out, tokens_cached, tokens_reasoning, cost, "
            "length(request::VARCHAR), length(reply) FROM llm_calls "
            "WHERE run = ? AND error IS NULL ORDER BY id",
            [run],
        )
        return [
            AnsweredCall(feature, model, Usage(*counts), cost, n_sent, n_received)
            for feature, model, *counts, cost, n_sent, n_received in rows
        ]

    async def stored(self, request_hash: str) -> PaidReply | None:
        """The reply to an identical request; None if there is none that counts."""
        if request_hash not in self._known:
            return None
        rows = await asyncio.to_thread(
            self._database.rows,
            "SELECT reply, finish_reason, logprobs, tokens_in, tokens_out, cost FROM llm_calls "
            f"WHERE request_hash = ? AND {_COUNTS} ORDER BY id LIMIT 1",
            [request_hash],
        )
        return _paid(*rows[0]) if rows else None

    async def write(self, entry: LedgerEntry) -> None:
        """Store a row; it is committed when this returns.

        Raises:
            DatabaseError: it could not be stored.
        """
        await asyncio.shield(self.put(entry))

    def put(self, entry: LedgerEntry) -> asyncio.Task[None]:
        """Queue a row; it is committed when the task ends, together with all queued by then."""
        self._queue.append((next(self._ids), entry))
        if self._next is None:
            self._next = asyncio.create_task(self._commit(self._newest))
            self._newest = self._next
        return self._next

    async def supersede(self, request_hashes: Sequence[str]) -> None:
        """Let the replies to these requests answer nothing any more."""
        await asyncio.to_thread(self._mark, request_hashes)
        self._known.difference_update(request_hashes)

    async def flush(self) -> None:
        """Wait until all that was put is committed, or has failed: `write` told those who wait."""
        if self._newest is not None:
            await asyncio.wait([self._newest])

    async def _commit(self, previous: asyncio.Task[None] | None) -> None:
        if previous is not None:
            # Its failure is told to those whose rows it had.
            await asyncio.wait([previous])
        rows, self._queue, self._next = self._queue, [], None
        await asyncio.to_thread(self._insert, rows)
        self._known.update(entry.request_hash for _, entry in rows if entry.error is None)

    def _insert(self, rows: Sequence[tuple[int, LedgerEntry]]) -> None:
        values = [entry.row(row_id) for row_id, entry in rows]
        with self._database.transaction() as connection:
            insert(connection, "llm_calls", values)

    def _mark(self, request_hashes: Sequence[str]) -> None:
        places = ", ".join("?" * len(request_hashes))
        with self._database.transaction() as connection:
            connection.execute(
                f"UPDATE llm_calls SET superseded = TRUE WHERE request_hash IN ({places})",
                list(request_hashes),
            )
