"""A web server on this machine alone, in a thread of its own."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from tools.errors import PortUnusable

HOST = "127.0.0.1"
GRACE_SECONDS = 2
"""How long answers may take that are still due when the server is told to end."""

_POLL_SECONDS = 0.02


def bound(port: int) -> socket.socket:
    """A socket that listens on this machine's own address.

    Args:
        port: 0 for any that is free.

    Raises:
        PortUnusable: the port is taken, or this user may not have it.
    """
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # Without it, a port could not be used again for a minute after its last connection.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, port))
        made.listen()
    except OSError as error:
        made.close()
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror}"
        raise PortUnusable(
            f"port {port} {why}; name another with --port, or 0 for any that is free."
        ) from error
    return made


@contextmanager
def serving(app: ASGIApp, listening: socket.socket, closing: threading.Event) -> Generator[None]:
    """Serve `app` while the `with` block runs; its endless answers end when `closing` is set.

    Raises:
        PortUnusable: the server ended before it had begun.
    """
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listening]}, name="live page", daemon=True
    )
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(_POLL_SECONDS)
        if not server.started:
            port: int = listening.getsockname()[1]
            raise PortUnusable(f"no page could be served on port {port}; name another with --port.")
        yield
    finally:
        closing.set()
        server.should_exit = True
        thread.join()
        listening.close()
