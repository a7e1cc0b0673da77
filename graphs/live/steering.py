"""What the page's forms for stepping in do: forks and answers to reviews."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from graphs.live.requests import Form
from graphs.live.workshop import Workshop
from graphs.projection import split_thread
from graphs.records import Answer, Edits
from graphs.runs import Run, RunStore
from graphs.steering.checkpoints import find_checkpoint, placed
from graphs.steering.fork import fork, fork_config
from graphs.steering.history import history
from graphs.steering.moments import moment
from graphs.steering.review import answer
from graphs.steering.words import Words, edits_of
from tools.database import Database

NEW = "new"
"""What a form calls the first hypothesis that it adds itself."""


class EditsForm(Form):
    """Changes of an investigation: see `graphs.steering.words.Words`."""

    add: tuple[str, ...] = ()
    reword: tuple[tuple[str, str], ...] = ()
    drop: tuple[str, ...] = ()
    experiments: tuple[tuple[str, str, str], ...] = ()
    """The hypothesis may be `NEW`."""


class ForkForm(Form):
    """A fork, as the page asks for it."""

    thread: str
    at: str | None = None
    """A checkpoint; None for the newest."""
    edits: EditsForm = EditsForm()
    settings: tuple[str, ...] = ()
    name: str | None = Field(default=None, max_length=60)


class ReviewForm(Form):
    """An answer to a feature that waits."""

    thread: str
    verdict: Literal["approve", "reject"]
    edits: EditsForm = EditsForm()


class Steering:
    """Changes investigations as their reader wants, and has them go on."""

    def __init__(self, workshop: Workshop) -> None:
        """Work there."""
        self._workshop = workshop
        self._database = workshop.database

    def fork(self, form: ForkForm) -> str:
        """Make the fork and have it go on; returns its thread.

        Raises:
            SaesageError: see `graphs.steering.fork.fork`.
        """
        run, feature = self._place(form.thread)
        config = fork_config(run.config, feature, form.settings)
        made = fork(
            self._database,
            form.thread,
            lambda: self._workshop.instrument(run).subject,
            at=form.at,
            edits=edits_of(config, self._words(form.thread, form.at, form.edits)),
            settings=form.settings,
            name=form.name,
        )
        self._workshop.go_on(made)
        return made

    def review(self, form: ReviewForm) -> None:
        """Store the answer and have the feature go on.

        Raises:
            SaesageError: see `graphs.steering.review.answer`.
        """
        run, _ = self._place(form.thread)
        # A rejection changes nothing else.
        edits = Edits()
        if form.verdict == "approve":
            edits = edits_of(run.config, self._words(form.thread, None, form.edits))
        answer(
            self._database,
            form.thread,
            Answer(verdict=form.verdict, edits=edits),
            lambda: self._workshop.instrument(run).subject,
        )
        self._workshop.go_on(form.thread)

    def _place(self, thread: str) -> tuple[Run, int]:
        run, feature = split_thread(thread)
        return RunStore(self._database).named(run), feature

    def _words(self, thread: str, at: str | None, edits: EditsForm) -> Words:
        """The edits, with the id that the first new hypothesis will get in place of `NEW`."""
        ids = {NEW: NEW}
        if any(test[0] == NEW for test in edits.experiments):
            there = moment(self._database, thread, find_checkpoint(self._database, thread, at))
            ids[NEW] = f"H{len(there.state['hypotheses']) + 1}"
        experiments = [
            (ids.get(hypothesis, hypothesis), text, predicted)
            for hypothesis, text, predicted in edits.experiments
        ]
        return Words(edits.add, edits.reword, edits.drop, experiments)


def choices(reader: Database, thread: str) -> dict[str, Any]:
    """What the forms of a thread choose from: its hypotheses, its checkpoints, what it waits for.

    Raises:
        RunNotFound: there is no such run.
    """
    run, feature = split_thread(thread)
    status = reader.rows(
        "SELECT status FROM features WHERE run = ? AND feature = ?", [run, feature]
    )
    hypotheses = reader.rows(
        "SELECT id, status, statement FROM hypotheses WHERE run = ? AND feature = ?",
        [run, feature],
    )
    hypotheses.sort(key=lambda row: int(row[0][1:]))
    entries = history(reader, thread) if placed(reader, thread) else ()
    return {
        "status": status[0][0] if status else "",
        "hypotheses": [
            {"value": id, "label": f"{id} {status}: {statement}"}
            for id, status, statement in hypotheses
            if status != "dropped"
        ],
        "checkpoints": [
            {
                "value": entry.checkpoint,
                "label": f"{entry.step} {(entry.node or 'begin').replace('_', ' ')}"
                f" · {'; '.join(entry.changes) or 'nothing changed'}",
            }
            for entry in reversed(entries)
        ],
    }
