"""The command line: mounts the commands of the folders, and turns errors into exit codes."""

from __future__ import annotations

import os
import signal
import sys
import threading

import typer

from evaluation.commands import app as evaluation_app
from graphs.commands import WARM_UP, app
from tools.errors import SaesageError

GRACE_SECONDS = 0.1

app.add_typer(evaluation_app)


def main() -> None:
    """Run a command; an error that saesage knows ends in one message, without a traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except SaesageError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        _leave(error.exit_code)
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else int(end.code is not None))


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    for thread in threading.enumerate():
        if thread.name == WARM_UP:
            thread.join(GRACE_SECONDS)
            if thread.is_alive():
                # torch is still being imported in the background: nobody should wait for that.
                os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
