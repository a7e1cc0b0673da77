"""The command serve, and how explain and resume are watched."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from graphs.live.page_server import LivePage
    from tools.database import Database

DEFAULT_PORT = 8322
_REST_SECONDS = 0.5

app = typer.Typer()

Port = Annotated[
    int,
    typer.Option(
        "--port", metavar="PORT", min=0, max=65535, help="Of the live page; 0 for any free one."
    ),
]
Watch = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Serve the live page meanwhile, and afterwards until Ctrl-C: see `serve`. "
        "A port may follow: --watch 8322.",
    ),
]


class WatchCommand(TyperCommand):
    """A command whose --watch may be followed by a port; typer knows no such optional values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read `--watch 8322` and `--watch=8322` as `--watch --port 8322`."""
        read: list[str] = []
        for arg in args:
            if arg.startswith("--watch="):
                read += ["--watch", "--port", arg.removeprefix("--watch=")]
            elif read[-1:] == ["--watch"] and arg.isdecimal():
                read += ["--port", arg]
            else:
                read.append(arg)
        return super().parse_args(ctx, read)


@app.command(epilog="Example: saesage serve runs/quickstart.duckdb --port 8322")
def serve(
    db: Annotated[Path, typer.Argument(metavar="DB", help="A saesage DuckDB file.")],
    port: Port = DEFAULT_PORT,
) -> None:
    """Serve a database's live page on this machine until Ctrl-C.

    The page shows what `report` does, measures texts, and steers features. Only the printed
    address, which carries a token, can do more than read.
    """
    from graphs.storage import open_database

    with open_database(str(db), create=False) as database, watched(database, port):
        until_interrupted()


@contextmanager
def watched(database: Database, port: int | None) -> Generator[LivePage | None]:
    """Serve the live page while the `with` block runs, and print its address; None: serve none.

    Raises:
        PortUnusable: the port is taken, or this user may not have it.
    """
    if port is None:
        yield None
        return
    from graphs.live.page_server import live_page
    from graphs.live.server import bound

    with closing(bound(port)) as listening, live_page(database, listening) as page:
        typer.echo(f"live page: {page.url} (Ctrl-C ends it)", err=True)
        yield page


def until_interrupted() -> None:
    """Return at Ctrl-C or SIGTERM."""
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(_REST_SECONDS)
