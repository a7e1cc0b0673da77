"""The commands: explain, harvest, resume, runs, show, probe, export."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphs.live.commands import DEFAULT_PORT, Port, Watch, WatchCommand, watched
from tools.errors import ConfigError, SaesageError
from tools.lasting import import_lasting

if TYPE_CHECKING:
    from graphs.config import RunConfig
    from graphs.runs import Run
    from tools.database import Database

WARM_UP = "warm-up"
EXIT_CODES = (
    "Exit codes: 0 all explained (or measured dead or too rare), 1 some features failed or stayed "
    "undecided (also when a budget ran out first), 2 bad usage or configuration, 130 interrupted."
)

app = typer.Typer(
    name="saesage",
    help="Find out, and prove, what a sparse-autoencoder feature of a language model means.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="A run's YAML file.")]
DatabasePath = Annotated[Path, typer.Argument(metavar="DB", help="A saesage DuckDB file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as budget.rounds=3."),
]
RunName = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", help="Which run or fork; the newest run if not given."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(
    cls=WatchCommand,
    epilog=f"Example: saesage explain graphs/configs/quickstart.yaml. {EXIT_CODES}",
)
def explain(
    config: ConfigPath,
    features: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help='Instead of the config\'s: "3,17,100-119,random:5".'),
    ] = None,
    db: Annotated[
        Path | None, typer.Option("--db", metavar="FILE", help="Instead of the config's.")
    ] = None,
    set_: Overrides = None,
    new: Annotated[
        bool, typer.Option("--new", help="Start another run though the database holds this one.")
    ] = False,
    watch: Watch = False,
    port: Port = DEFAULT_PORT,
    review: Annotated[
        list[str] | None,
        typer.Option(
            "--review",
            metavar="after-hypotheses|before-conclusion",
            help="Wait there for you: see saesage review. Repeatable.",
        ),
    ] = None,
) -> None:
    """Explain the features that a config names.

    On a database that already holds this run, go on where an earlier try stopped.
    """
    warm_up()
    from graphs.runs import RunStore
    from graphs.storage import open_database
    from graphs.terminal.running import go_on

    points = [f"review=[{', '.join(review)}]"] if review else []
    settings = _settings(config, features, db, [*(set_ or []), *points])
    with (
        open_database(settings.database, create=True) as database,
        watched(database, port if watch else None) as page,
    ):
        run = RunStore(database).open(settings, new=new)
        go_on(database, [run], page=page)


@app.command(
    epilog="Example: saesage harvest layer-4.yaml layer-8.yaml --db runs/layers.duckdb. Exit "
    "codes: 0 all stored, 1 some features could not be measured, 2 bad usage or configuration, "
    "130 interrupted."
)
def harvest(
    configs: Annotated[list[Path], typer.Argument(metavar="CONFIG", help="YAML files of runs.")],
    db: Annotated[
        Path | None, typer.Option("--db", metavar="FILE", help="Instead of each config's.")
    ] = None,
    set_: Overrides = None,
) -> None:
    """Measure the corpus for several configs; explain nothing.

    SAEs of one model share a pass over it. Afterwards saesage explain reads what is stored.
    """
    warm_up()
    from graphs.terminal.harvest import harvest_configs

    settings = {config.resolve(): _settings(config, None, db, set_ or []) for config in configs}
    if len(settings) < len(configs):
        raise ConfigError("a config is named twice; name each once.")
    harvest_configs(dict(zip(configs, settings.values(), strict=True)))


@app.command(
    cls=WatchCommand, epilog=f"Example: saesage resume runs/quickstart.duckdb. {EXIT_CODES}"
)
def resume(db: DatabasePath, watch: Watch = False, port: Port = DEFAULT_PORT) -> None:
    """Finish what a database's runs left unfinished.

    The configuration comes from the database: no other file is needed.
    """
    warm_up()
    from graphs.runs import RunStore
    from graphs.storage import open_database
    from graphs.terminal.running import go_on

    with (
        open_database(str(db), create=False) as database,
        watched(database, port if watch else None) as page,
    ):
        store = RunStore(database)
        store.latest()
        go_on(database, store.all(), page=page)


@app.command(epilog="Example: saesage runs runs/quickstart.duckdb")
def runs(db: DatabasePath, json: AsJson = False) -> None:
    """List runs and forks, with counts, time and cost."""
    from graphs.storage import open_database
    from graphs.terminal.runs import print_runs

    with open_database(str(db), create=False) as database:
        print_runs(database, as_json=json)


@app.command(epilog="Example: saesage show runs/quickstart.duckdb 17")
def show(
    db: DatabasePath,
    feature: Annotated[
        int | None, typer.Argument(metavar="[FEATURE]", help="A feature id; all if not given.")
    ] = None,
    json: AsJson = False,
    run: RunName = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="CHECKPOINT", help="As it was then: a step of saesage history."),
    ] = None,
) -> None:
    """Show explanations and their evidence.

    For one feature: each hypothesis with its verdict, each test with its measured activations, and
    its forks side by side.
    """
    from graphs.storage import open_database
    from graphs.terminal.show import show_feature, show_run

    with open_database(str(db), create=False) as database:
        chosen = chosen_run(database, run)
        if feature is not None:
            show_feature(database, chosen, feature, as_json=json, at=at)
        elif at is not None:
            raise ConfigError("--at needs a FEATURE: each has checkpoints of its own.")
        else:
            show_run(database, chosen, as_json=json)


@app.command(
    epilog='Example: saesage probe graphs/configs/quickstart.yaml --feature 17 "import os"'
)
def probe(
    config: ConfigPath,
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Texts to measure.")],
    feature: Annotated[int, typer.Option("--feature", metavar="N", help="A feature id.")],
    set_: Overrides = None,
    json: AsJson = False,
) -> None:
    """Measure a feature on texts of yours.

    Prints the tokens shaded by activation, the maximum and the mean.
    """
    warm_up()
    settings = _settings(config, None, None, set_ or [])
    from graphs.subjects import open_subject
    from graphs.terminal.probe import print_probe

    print_probe(open_subject(settings.subject), texts, feature, as_json=json)


@app.command(epilog="Example: saesage export runs/quickstart.duckdb --out explanations.jsonl")
def export(
    db: DatabasePath,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Standard output if not given.")
    ] = None,
) -> None:
    """Write JSON lines, one feature a line.

    Runs come in the order in which they were started.
    """
    from graphs.findings import Findings, export_lines
    from graphs.runs import RunStore
    from graphs.storage import open_database

    with open_database(str(db), create=False) as database:
        findings = Findings(database)
        lines = [line for run in RunStore(database).all() for line in export_lines(findings, run)]
    text = "".join(f"{line}\n" for line in lines)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)


def warm_up() -> None:
    """Import torch and sae-lens in the background, while the command checks its input."""
    threading.Thread(
        target=import_lasting, args=("tools.subject",), name=WARM_UP, daemon=True
    ).start()


def _settings(
    config: Path, features: str | None, db: Path | None, overrides: list[str]
) -> RunConfig:
    from graphs.config_file import load_config

    return load_config(config, overrides, features=features, database=db and str(db))


def chosen_run(database: Database, name: str | None) -> Run:
    """The run of that name, or the newest.

    Raises:
        RunNotFound: there is none.
    """
    from graphs.runs import RunStore

    store = RunStore(database)
    return store.latest() if name is None else store.named(name)


def write_text(path: Path, text: str) -> None:
    """Write a file that somebody named.

    Raises:
        SaesageError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SaesageError(f"cannot write {path}: {error.strerror}; name another path.") from error
