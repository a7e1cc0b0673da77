"""The commands that score explanations: evaluate, compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphs.commands import AsJson, DatabasePath, RunName, chosen_run, warm_up, write_text
from tools.errors import EXIT_INTERRUPTED, EXIT_SOME_FAILED, ConfigError

if TYPE_CHECKING:
    from evaluation.evaluate import Outcome, Request
    from graphs.runs import Run
    from tools.database import Database

app = typer.Typer()


@app.command(epilog="Example: saesage evaluate runs/quickstart.duckdb --metrics predictive")
def evaluate(
    db: DatabasePath,
    metrics: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Such as generative,predictive,fade.")
    ] = None,
    baselines: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Such as one_shot,shuffled,mine.jsonl, or none; all built-in by default.",
        ),
    ] = None,
    judge: Annotated[
        str, typer.Option(metavar="NAMES", help="rule, language_model, or both with a comma.")
    ] = "rule",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A key of llm, such as llm.model=gpt-5."),
    ] = None,
    run: RunName = None,
) -> None:
    """Score a run's explanations and baselines on text that none of them has seen.

    Scores go into the database, table `scores`; what is there already is not computed again.
    """
    warm_up()
    from evaluation.evaluate import Request
    from evaluation.storage import open_scores
    from graphs.config_file import with_language_model

    request = Request(
        metrics=_listed("--metrics", metrics),
        baselines=_listed("--baselines", baselines),
        judges=_listed("--judge", judge),
    )
    with open_scores(str(db)) as database:
        chosen = with_language_model(chosen_run(database, run), set_ or [])
        try:
            outcome = _evaluate(database, chosen, request)
        except KeyboardInterrupt:
            typer.echo("interrupted; go on with the same command", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        typer.echo(f"compare: saesage compare {db}", err=True)
    raise typer.Exit(EXIT_SOME_FAILED if outcome.failures else 0)


@app.command(epilog="Example: saesage compare runs/quickstart.duckdb --out table.md")
def compare(
    db: DatabasePath,
    json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Also write it as Markdown.")
    ] = None,
    run: RunName = None,
) -> None:
    """Compare a run's explanations with the baselines, metric by metric.

    Differences are paired by feature; intervals are 95 % bootstrap intervals over features.
    """
    from rich.console import Console

    from evaluation.comparison import as_json, compare_run
    from evaluation.comparison.tables import markdown, print_comparison
    from evaluation.storage import open_scores

    with open_scores(str(db)) as database:
        comparison = compare_run(database, chosen_run(database, run))
    if json:
        typer.echo(as_json(comparison))
    else:
        print_comparison(Console(highlight=False), comparison)
    if out is not None:
        write_text(out, markdown(comparison))


def _listed(option: str, names: str | None) -> list[str]:
    """The names that an option lists; none if it is not given."""
    if names is None:
        return []
    listed = [name.strip() for name in names.split(",") if name.strip()]
    if not listed:
        raise ConfigError(f"{option} names nothing; leave it out, or name something.")
    return listed


def _evaluate(database: Database, run: Run, request: Request) -> Outcome:
    from rich.console import Console

    from evaluation.evaluate import evaluate_run
    from graphs.terminal.progress import ProgressReporter

    with ProgressReporter(Console(stderr=True)) as reporter:
        outcome = evaluate_run(database, run, request, reporter)
    for feature, error in outcome.failures.items():
        typer.echo(f"feature {feature} could not be scored: {error}", err=True)
    if outcome.unexplained:
        typer.echo(f"{outcome.unexplained} features have no explanation to score", err=True)
    done = "were scored before" if outcome.was_done else "are scored"
    typer.echo(f"{outcome.scored} features {done}", err=True)
    return outcome
