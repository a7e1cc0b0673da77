"""The command line, and what `import saesage` gives in Python.

Both only name what the folders hold.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import warnings
from types import FrameType
from typing import TYPE_CHECKING

import typer

from evaluation.commands import app as evaluation_app
from graphs.commands import WARM_UP, app
from graphs.live.commands import app as live_app
from graphs.page.commands import app as page_app
from graphs.steering.commands import app as steering_app
from tools.errors import EXIT_INTERRUPTED, SaesageError
from tools.heaps import share_heaps

if TYPE_CHECKING:
    from evaluation.interface import evaluate
    from graphs.notebook.interface import QUICKSTART, explain, load_subject, look, probe

__all__ = ["QUICKSTART", "evaluate", "explain", "load_subject", "look", "main", "probe"]

_INTERFACE = {
    "evaluate": "evaluation.interface",
    **dict.fromkeys(
        ("QUICKSTART", "explain", "load_subject", "look", "probe"), "graphs.notebook.interface"
    ),
}
"""Where the Python interface lives."""

GRACE_SECONDS = 0.1

app.add_typer(live_app)
app.add_typer(steering_app)
app.add_typer(evaluation_app)
app.add_typer(page_app)


def __getattr__(name: str) -> object:
    """Import the Python interface when it is first used, as it brings torch along."""
    if name in _INTERFACE:
        with warnings.catch_warnings():
            # tqdm asks for ipywidgets, though none of its bars is ever drawn.
            warnings.filterwarnings("ignore", "IProgress not found")
            return getattr(importlib.import_module(_INTERFACE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> None:
    """Run a command; an error that saesage knows ends in one message, without a traceback."""
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, _interrupt)
    share_heaps()
    try:
        app()
    except SaesageError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        _leave(error.exit_code)
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else int(end.code is not None))


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End at once while torch is still being imported, else raise KeyboardInterrupt.

    Nothing is done yet then, and an interrupt that falls into Python's import machinery is lost,
    with the lock that it holds.
    """
    if any(thread.name == WARM_UP for thread in threading.enumerate()):
        sys.stderr.write("interrupted; go on with the same command\n")
        os._exit(EXIT_INTERRUPTED)
    signal.default_int_handler(number, frame)


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
