"""The commands that steer: history, fork, review."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from graphs.commands import (
    EXIT_CODES,
    AsJson,
    DatabasePath,
    Overrides,
    RunName,
    chosen_run,
    warm_up,
)
from graphs.terminal.grouped import GroupedCommand, ungrouped
from tools.errors import EditRefused, NothingWaits

if TYPE_CHECKING:
    from graphs.records import Answer, ReviewVerdict
    from graphs.runs import Run
    from graphs.steering.review import Waiting
    from graphs.steering.words import Words
    from tools.activations import Subject
    from tools.database import Database

app = typer.Typer()

FeatureId = Annotated[int, typer.Argument(metavar="FEATURE", help="A feature id.")]
Added = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help="A hypothesis: \"Fires on ' import'.\", tokens in quotes with their leading space; or "
        "a rule as JSON, as show --json has it; or, where a language model designs the "
        "experiments, any sentence. Repeatable.",
    ),
]
Dropped = Annotated[
    list[str] | None, typer.Option(metavar="H", help="Set a hypothesis aside. Repeatable.")
]
Tests = Annotated[
    list[str] | None,
    typer.Option(
        "--add-experiment",
        metavar="H TEXT active|inactive",
        help="Test a hypothesis on a text of yours; a new one has the next number. Repeatable.",
    ),
]


@app.command(epilog="Example: saesage history runs/quickstart.duckdb 17")
def history(
    db: DatabasePath, feature: FeatureId, json: AsJson = False, run: RunName = None
) -> None:
    """List the checkpoints of a feature: node, round, what changed."""
    from graphs.projection import thread_of
    from graphs.steering.history import history as entries_of
    from graphs.storage import open_database
    from graphs.terminal.history import print_history

    with open_database(str(db), create=False) as database:
        chosen = chosen_run(database, run)
        print_history(entries_of(database, thread_of(chosen.name, feature)), as_json=json)


@app.command(
    cls=GroupedCommand,
    epilog="Example: saesage fork runs/quickstart.duckdb 17 --at 3 --drop H2 --add-hypothesis "
    f"\"Fires on ' import'.\" --name imports. {EXIT_CODES}",
)
def fork(
    db: DatabasePath,
    feature: FeatureId,
    at: Annotated[
        str | None,
        typer.Option(metavar="CHECKPOINT", help="A step of saesage history; the newest if none."),
    ] = None,
    add_hypothesis: Added = None,
    drop: Dropped = None,
    add_experiment: Tests = None,
    set_: Overrides = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the fork; a number if not given.")
    ] = None,
    json: AsJson = False,
    run: RunName = None,
) -> None:
    """Go on from a checkpoint with changes of yours, beside the original.

    The original stays as it is. A hypothesis that is added is tested, a text is measured and
    counted, what is dropped stays in the log; then the fork is concluded. Afterwards original and
    forks are shown side by side.
    """
    warm_up()
    from graphs.projection import split_thread, thread_of
    from graphs.runs import RunStore
    from graphs.steering.fork import fork as make_fork
    from graphs.steering.fork import fork_config
    from graphs.steering.words import Words, edits_of
    from graphs.storage import open_database
    from graphs.subjects import Subjects
    from graphs.terminal.running import finish, leave

    with open_database(str(db), create=False) as database:
        origin, settings, subjects = chosen_run(database, run), set_ or [], Subjects()
        thread = make_fork(
            database,
            thread_of(origin.name, feature),
            lambda: subjects.load(origin.config.subject),
            at=at,
            edits=edits_of(
                fork_config(origin.config, feature, settings),
                Words(
                    add=add_hypothesis or (), drop=drop or (), experiments=_tests(add_experiment)
                ),
            ),
            settings=settings,
            name=name,
        )
        made = RunStore(database).named(split_thread(thread)[0])
        failures = finish(database, [made], subjects)
        _print_fork(database, made, feature, as_json=json)
        leave(database, [made], failures)


@app.command(
    cls=GroupedCommand,
    epilog="Example: saesage review runs/quickstart.duckdb --feature 17 --drop H2 --approve. "
    f"{EXIT_CODES}",
)
def review(
    db: DatabasePath,
    feature: Annotated[
        int | None, typer.Option(metavar="N", help="The feature to answer; all if not given.")
    ] = None,
    approve: Annotated[bool, typer.Option("--approve", help="Go on, with the changes.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="End without an explanation.")] = False,
    add: Added = None,
    edit: Annotated[
        list[str] | None, typer.Option(metavar="H TEXT", help="Reword a hypothesis. Repeatable.")
    ] = None,
    drop: Dropped = None,
    add_experiment: Tests = None,
    json: AsJson = False,
    run: RunName = None,
) -> None:
    """Answer the features that wait for you, and go on with them.

    With --approve or --reject, or with changes, which approve the rest, as a script does; else in a
    conversation, or, where there is no terminal to talk in, what waits is listed.
    """
    from graphs.steering.words import Words
    from graphs.storage import open_database
    from graphs.terminal.reviewing import print_waiting

    changed = bool(add or edit or drop or add_experiment)
    with open_database(str(db), create=False) as database:
        found = _waiting(database, run, feature)
        if not (approve or reject or changed):
            if not json and found and sys.stdin.isatty() and sys.stdout.isatty():
                _converse(database, found)
            else:
                print_waiting(found, as_json=json)
            return
        _check_answer(database, found, approve=approve, reject=reject, changed=changed)

        words = Words(
            add=add or (),
            reword=[(id, text) for id, text in ungrouped(edit)],
            drop=drop or (),
            experiments=_tests(add_experiment),
        )
        _answer(database, found, "reject" if reject else "approve", words)


def _tests(values: list[str] | None) -> list[tuple[str, str, str]]:
    return [(id, text, predicted) for id, text, predicted in ungrouped(values)]


def _print_fork(database: Database, made: Run, feature: int, *, as_json: bool) -> None:
    from rich.console import Console

    from graphs.projection import thread_of
    from graphs.terminal.forks import family, print_family
    from graphs.terminal.show import print_json

    console = Console(highlight=False)
    members = family(database, made, feature)
    if as_json:
        record = next(each.to_json() for each in members if each.run.name == made.name)
        print_json(console, {"thread": thread_of(made.name, feature), **record})
    else:
        print_family(console, members)


def _waiting(database: Database, run: str | None, feature: int | None) -> list[Waiting]:
    from graphs.runs import RunStore
    from graphs.steering.review import waiting

    named = None if run is None else RunStore(database).named(run).name
    return [
        each
        for each in waiting(database)
        if named in (None, each.run) and feature in (None, each.feature)
    ]


def _check_answer(
    database: Database, found: Sequence[Waiting], *, approve: bool, reject: bool, changed: bool
) -> None:
    if reject and (approve or changed):
        raise EditRefused("--reject goes with neither --approve nor changes; choose one.")
    if not found:
        raise NothingWaits(
            f"no such feature waits for you; `saesage review {database.path}` lists what does."
        )
    if changed and len(found) > 1:
        several = ", ".join(f"{each.feature} of {each.run}" for each in found)
        raise EditRefused(f"changes are for one feature; name it with --feature: {several}.")


def _answer(
    database: Database,
    found: Sequence[Waiting],
    verdict: ReviewVerdict,
    words: Words,
) -> None:
    """Store an answer for each, then go on with their runs."""
    from graphs.records import Answer
    from graphs.runs import RunStore
    from graphs.steering.review import answer
    from graphs.steering.words import edits_of
    from graphs.subjects import Subjects
    from graphs.terminal.running import go_on

    warm_up()
    subjects = Subjects()
    runs = {each.run: RunStore(database).named(each.run) for each in found}
    for each in found:
        config = runs[each.run].config
        given = Answer(verdict=verdict, edits=edits_of(config, words))
        answer(database, each.thread, given, partial(subjects.load, config.subject))
    go_on(database, list(runs.values()), subjects)


def _converse(database: Database, found: Sequence[Waiting]) -> None:
    """Talk about each, then go on with the runs of those that got an answer."""
    from rich.console import Console

    from graphs.runs import RunStore
    from graphs.steering.review import answer
    from graphs.subjects import Subjects
    from graphs.terminal.reviewing import converse
    from graphs.terminal.running import go_on

    subjects, answered = Subjects(), dict[str, Run]()
    for each in found:
        run = RunStore(database).named(each.run)
        load = partial(subjects.load, run.config.subject)

        def store(given: Answer, each: Waiting = each, load: Callable[[], Subject] = load) -> None:
            answer(database, each.thread, given, load)

        if converse(Console(highlight=False), each, run.config, store):
            answered[run.name] = run
    if answered:
        go_on(database, list(answered.values()), subjects)
