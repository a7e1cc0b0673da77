"""The live page of one database, from the first request to the last."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from graphs.live.app import Desk, live_app
from graphs.live.changes import Changes
from graphs.live.server import HOST, serving
from graphs.live.watching import Watched
from graphs.live.workshop import Workshop
from graphs.reporter import Reporter
from tools.database import Database


@dataclass(frozen=True, slots=True)
class LivePage:
    """A page that is being served."""

    port: int
    token: str
    changes: Changes
    workshop: Workshop

    @property
    def url(self) -> str:
        """Where it is; the token is in the fragment, which browsers keep to themselves."""
        return f"http://{HOST}:{self.port}/#token={self.token}"

    def hearing(self, reporter: Reporter) -> Reporter:
        """The reporter, with what it hears told on the page too."""
        return Watched(reporter, self.changes)


@contextmanager
def live_page(database: Database, listening: socket.socket) -> Generator[LivePage]:
    """Serve the live page of `database` while the `with` block runs.

    Args:
        database: Open, with all of its tables.
        listening: See `graphs.live.server.bound`.
    """
    port: int = listening.getsockname()[1]
    token, ended = secrets.token_urlsafe(18), threading.Event()
    with closing(database.reader()) as reader:
        changes = Changes(reader)
        with closing(Workshop(database, changes)) as workshop:
            desk = Desk(reader, changes, workshop, ended)
            app = live_app(desk, port=port, token=token)
            with serving(app, listening, ended):
                yield LivePage(port, token, changes, workshop)
