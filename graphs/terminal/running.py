"""Runs that are finished before the user's eyes: progress, what came of them, the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console

from graphs.live.commands import until_interrupted
from graphs.reporter import Reporter
from graphs.runs import Run, RunStore
from graphs.stopping import Stop, on_signals
from graphs.terminal.progress import ProgressReporter
from graphs.terminal.tables import print_features
from tools.database import Database
from tools.errors import EXIT_INTERRUPTED, EXIT_SOME_FAILED, DatabaseError, SaesageError

if TYPE_CHECKING:
    from graphs.live.page_server import LivePage
    from graphs.subjects import Subjects


def go_on(
    database: Database,
    chosen: Sequence[Run],
    subjects: Subjects | None = None,
    page: LivePage | None = None,
) -> None:
    """Finish the runs with a progress bar, print what came of them, and exit accordingly.

    Args:
        database: Has the runs.
        chosen: They are finished in this order.
        subjects: Has those that are loaded already.
        page: Shows how far they are, and is served on afterwards until Ctrl-C.

    Raises:
        typer.Exit: always, unless a run cannot go on.
        SaesageError: why the first such run cannot.
    """
    failures = finish(database, chosen, subjects, page)
    console = Console(highlight=False)
    for run in chosen:
        if len(chosen) > 1:
            console.print(f"run {run.name}", style="bold")
        print_features(console, database, run)
    if page is not None:
        until_interrupted()
    leave(database, chosen, failures)


def finish(
    database: Database,
    chosen: Sequence[Run],
    subjects: Subjects | None = None,
    page: LivePage | None = None,
) -> list[SaesageError]:
    """Finish the runs with a progress bar; why some could not be, if there are several.

    Raises:
        typer.Exit: the user stopped it.
        SaesageError: the only run cannot go on, or the database cannot be used.
    """
    stop = Stop()
    try:
        with on_signals(stop):
            failures = _finish(database, chosen, stop, subjects, page)
    except KeyboardInterrupt:
        raise _interrupted(database) from None
    if stop.asked and not all(RunStore(database).is_finished(run) for run in chosen):
        raise _interrupted(database)
    return failures


def leave(database: Database, chosen: Sequence[Run], failures: Sequence[SaesageError]) -> NoReturn:
    """Say what can be done next, and exit.

    Raises:
        typer.Exit: always, unless there are failures.
        SaesageError: the first failure.
    """
    store = RunStore(database)
    typer.echo(f"evidence: saesage show {database.path} FEATURE", err=True)
    number = sum(len(store.waiting(run)) for run in chosen)
    if number:
        wait = "1 feature waits" if number == 1 else f"{number} features wait"
        typer.echo(f"{wait} for you: saesage review {database.path}", err=True)
    if failures:
        raise failures[0]
    explained = all(store.all_explained(run) for run in chosen)
    raise typer.Exit(0 if explained else EXIT_SOME_FAILED)


def _interrupted(database: Database) -> typer.Exit:
    typer.echo(f"interrupted; go on with: saesage resume {database.path}", err=True)
    return typer.Exit(EXIT_INTERRUPTED)


def _finish(
    database: Database,
    chosen: Sequence[Run],
    stop: Stop,
    subjects: Subjects | None,
    page: LivePage | None,
) -> list[SaesageError]:
    """Finish each run; one that cannot go on does not keep the next from it."""
    store = RunStore(database)
    failures: list[SaesageError] = []
    with ExitStack() as stack:
        reporter: Reporter = stack.enter_context(ProgressReporter(Console(stderr=True)))
        reporter.stage("starting")
        unfinished = [run for run in chosen if not store.is_finished(run)]
        if not unfinished:
            reporter.stage(_nothing_to_do(any(store.waiting(run) for run in chosen)))
            return []
        # Not before there is something to do: they import torch.
        from graphs.instruments import Instruments  # noqa: PLC0415
        from graphs.run import finish_run  # noqa: PLC0415

        if page is None:
            instruments = stack.enter_context(closing(Instruments(database, subjects)))
        else:
            reporter, instruments = page.hearing(reporter), page.workshop.instruments
        for run in unfinished:
            try:
                finish_run(database, run, reporter, stop=stop, instruments=instruments)
            except DatabaseError:
                raise
            except SaesageError as error:
                if len(chosen) == 1:
                    raise
                failures.append(type(error)(f"run {run.name}: {error}"))
            if stop.asked:
                break
    return failures


def _nothing_to_do(waits: bool) -> str:
    if waits:
        return "every feature is finished or waits for you"
    return "every feature is finished; explain --new would start another run"
