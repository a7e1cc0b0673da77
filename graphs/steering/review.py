"""Features that wait for the user, and the user's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from graphs.context import limits_of
from graphs.projection import split_thread, thread_of
from graphs.records import Answer, Hypothesis, ReviewPoint
from graphs.runs import RunStore
from graphs.steering.checkpoints import find_checkpoint
from graphs.steering.edits import check_texts, edited
from graphs.steering.moments import moment
from tools.activations import Tokenization
from tools.database import Database
from tools.errors import NothingWaits


class Waiting(NamedTuple):
    """A feature that waits for the user."""

    run: str
    feature: int
    point: ReviewPoint
    round: int
    hypotheses: tuple[Hypothesis, ...]

    @property
    def thread(self) -> str:
        """Its thread, to be answered."""
        return thread_of(self.run, self.feature)


def waiting(database: Database) -> tuple[Waiting, ...]:
    """Every feature that waits, in the order of the runs."""
    rows = database.rows("SELECT run, feature FROM features WHERE status = 'waiting' ORDER BY rank")
    names = [run.name for run in RunStore(database).all()]
    rows.sort(key=lambda row: names.index(row[0]))
    return tuple(_waiting(database, run, feature) for run, feature in rows)


def answer(
    database: Database, thread: str, given: Answer, tokenization: Callable[[], Tokenization]
) -> None:
    """Store the user's answer; `finish_run` then goes on with the feature.

    Args:
        database: Has the thread.
        thread: `<run>/<feature>`.
        given: Approval, with edits if there are any, or rejection.
        tokenization: Gives the run's subject; asked where there are new texts, which must fit its
            context.

    Raises:
        RunNotFound: there is no such thread.
        NothingWaits: the feature does not wait, or was answered meanwhile.
        EditRefused, RuleError: the edits cannot be applied.
    """
    run_name, feature = split_thread(thread)
    run = RunStore(database).named(run_name)
    _check_waits(database, run.name, feature)
    there = moment(database, thread, find_checkpoint(database, thread, None))
    edited(there.state, given.edits, limits_of(run.config))
    if given.edits.experiments:
        check_texts(given.edits, tokenization())
    with database.transaction() as connection:
        _check_waits(database, run.name, feature)
        connection.execute(
            "INSERT INTO answers (thread_id, checkpoint_id, answer) VALUES (?, ?, ?)",
            [thread, there.checkpoint, given.model_dump_json()],
        )


def answer_of(database: Database, thread: str) -> Answer | None:
    """What the user answered at the newest checkpoint of a thread; None if nothing."""
    rows = database.rows(
        "SELECT answer FROM answers WHERE thread_id = ? AND checkpoint_id = (SELECT "
        "max(checkpoint_id) FROM feature_log WHERE thread_id = ?)",
        [thread, thread],
    )
    return Answer.model_validate_json(rows[0][0]) if rows else None


def _check_waits(database: Database, run: str, feature: int) -> None:
    query = "SELECT status FROM features WHERE run = ? AND feature = ?"
    found = database.rows(query, [run, feature])
    if found != [("waiting",)]:
        status = f"its status is {found[0][0]}" if found else "the run does not explain it"
        raise NothingWaits(
            f"feature {feature} of run {run} does not wait for review: {status}; "
            f"`saesage review {database.path}` lists what does."
        )


def _waiting(database: Database, run: str, feature: int) -> Waiting:
    thread = thread_of(run, feature)
    state = moment(database, thread, find_checkpoint(database, thread, None)).state
    point: ReviewPoint = "before-conclusion" if state["experiments"] else "after-hypotheses"
    return Waiting(run, feature, point, state["round"], tuple(state["hypotheses"]))
