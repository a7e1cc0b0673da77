"""The command `report`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from graphs.commands import DatabasePath, RunName, write_text
from tools.errors import ConfigError

app = typer.Typer()


@app.command(epilog="Example: saesage report runs/quickstart.duckdb -o report.html")
def report(
    db: DatabasePath,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write it.")
    ] = Path("report.html"),
    features: Annotated[
        str | None, typer.Option(metavar="SPEC", help='Some only: "3,17,100-119".')
    ] = None,
    run: RunName = None,
) -> None:
    """Write a report that opens in any browser: one HTML file, for sharing and for papers.

    It shows every feature with its exemplars, hypotheses, experiments and scores.
    """
    from graphs.page.report import report_html
    from graphs.storage import open_database

    with open_database(str(db), create=False) as database:
        text = report_html(database, _listed(features), run)
    write_text(out, text)
    typer.echo(f"wrote {out} ({len(text.encode()) / 1e6:.1f} MB)", err=True)


def _listed(spec: str | None) -> list[int] | None:
    """The ids that the option lists."""
    if spec is None:
        return None
    listed: list[int] = []
    for item in spec.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", item.strip())
        if match is None:
            raise ConfigError(f"--features {spec!r}: name ids and ranges, such as 3,17,100-119.")
        listed += range(int(match[1]), int(match[2] or match[1]) + 1)
    return listed
