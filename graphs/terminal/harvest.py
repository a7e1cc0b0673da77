"""`saesage harvest`: the corpus measured for several configs, before the user's eyes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console

from graphs.config import RunConfig
from graphs.storage import open_database
from graphs.terminal.progress import ProgressReporter
from tools.database import Database
from tools.errors import EXIT_INTERRUPTED, EXIT_SOME_FAILED, SaesageError
from tools.harvest.collection import Collection


def harvest_configs(configs: Mapping[Path, RunConfig]) -> NoReturn:
    """Harvest with a progress bar, print what came of each config, and exit accordingly.

    Raises:
        typer.Exit: always, unless a database cannot be used.
        DatabaseError: one cannot.
    """
    try:
        outcomes = _harvest(list(configs.values()))
    except KeyboardInterrupt:
        typer.echo("interrupted; go on with the same command", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    codes = [
        _print(path, configs[path], found) for path, found in zip(configs, outcomes, strict=True)
    ]
    raise typer.Exit(max(codes))


def _harvest(configs: Sequence[RunConfig]) -> Sequence[Collection | SaesageError]:
    with ExitStack() as stack:
        opened: dict[Path, Database] = {}
        for config in configs:
            path = Path(config.database).resolve()
            if path not in opened:
                database = open_database(config.database, create=True)
                opened[path] = stack.enter_context(database)
        reporter = stack.enter_context(ProgressReporter(Console(stderr=True)))
        reporter.stage("starting")
        # Not before the input is known to be good: it imports torch.
        from graphs.harvesting import ToHarvest, harvest_all  # noqa: PLC0415

        databases = [opened[Path(config.database).resolve()] for config in configs]
        return harvest_all(list(map(ToHarvest, configs, databases)), reporter)


def _print(path: Path, config: RunConfig, outcome: Collection | SaesageError) -> int:
    """One line for a config; returns the exit code that it asks for."""
    if isinstance(outcome, SaesageError):
        typer.secho(f"error: {path}: {outcome}", fg="red", err=True)
        return outcome.exit_code
    failed = [feature for feature in outcome.features if feature in outcome.failures]
    typer.echo(f"{path}: {len(outcome.features) - len(failed)} features in {config.database}")
    for feature in failed:
        reason = outcome.failures[feature]
        typer.secho(f"{path}: feature {feature} failed: {reason}", fg="red", err=True)
    return EXIT_SOME_FAILED if failed else 0
