"""The live page's addresses, and what answers at each."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from graphs.live import pages
from graphs.live.changes import Changes
from graphs.live.events import Announcer
from graphs.live.requests import ProbeForm, read_form
from graphs.live.security import Guard
from graphs.live.steering import ForkForm, ReviewForm, Steering, choices
from graphs.live.workshop import Workshop
from graphs.runs import Run, RunStore
from tools.database import Database
from tools.errors import RunNotFound, SaesageError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the page's handlers work with."""

    reader: Database
    """Reads beside the run that writes: see `Database.reader`."""
    changes: Changes
    workshop: Workshop
    closing: threading.Event
    """Set when the page is no longer served."""


def live_app(desk: Desk, *, port: int, token: str) -> ASGIApp:
    """The application, guarded.

    Args:
        desk: What it works with.
        port: Where it is served.
        token: What every request must carry that does more than read.
    """
    handlers = _Handlers(desk)
    app = Starlette(
        routes=[
            Route("/", handlers.overview),
            Route("/feature/{thread:path}", handlers.feature),
            Route("/fragment/overview", handlers.overview_fragment),
            Route("/fragment/feature/{thread:path}", handlers.feature_fragment),
            Route("/events", handlers.events),
            Route("/choices/{thread:path}", handlers.choices),
            Route("/probe", handlers.probe, methods=["POST"]),
            Route("/fork", handlers.fork, methods=["POST"]),
            Route("/review", handlers.review, methods=["POST"]),
        ],
        exception_handlers={
            SaesageError: _told,
            HTTPException: _told,
            Exception: _unforeseen,
        },
    )
    return Guard(app, port=port, token=token, policy=pages.POLICY)


class _Handlers:
    """One method an address. What reads or measures does so outside the event loop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._announcer = Announcer(desk.changes, desk.closing)
        self._steering = Steering(desk.workshop)
        self._runs: dict[str, Run] = {}

    def overview(self, request: Request) -> Response:
        """The whole page of all features."""
        mark, status = self._desk.changes.mark, self._desk.changes.status
        return HTMLResponse(pages.overview_page(self._desk.reader, mark=mark, status=status))

    def feature(self, request: Request) -> Response:
        """The whole page of one feature."""
        thread = _thread(request)
        mark, status = self._desk.changes.mark, self._desk.changes.status
        html = pages.feature_page(self._desk.reader, thread, mark=mark, status=status)
        return HTMLResponse(html)

    def overview_fragment(self, request: Request) -> Response:
        """The part of the overview that changes."""
        return HTMLResponse(pages.overview_fragment(self._desk.reader))

    def feature_fragment(self, request: Request) -> Response:
        """The part of a feature's page that changes."""
        thread = _thread(request)
        return HTMLResponse(pages.feature_fragment(self._desk.reader, thread))

    def choices(self, request: Request) -> Response:
        """What a thread's forms choose from."""
        return JSONResponse(choices(self._desk.reader, _thread(request)))

    async def events(self, request: Request) -> Response:
        """Changes, as they come."""
        mark = request.headers.get("last-event-id") or request.query_params.get("since", "")
        return self._announcer.response(mark)

    async def probe(self, request: Request) -> Response:
        """A text, measured."""
        form = await read_form(request, ProbeForm)
        return await asyncio.to_thread(self._probed, form)

    def _probed(self, form: ProbeForm) -> Response:
        run = self._run(form.run)
        probe = self._desk.workshop.probe(run, form.feature, form.text)
        # The log, not the view, which would look at all features.
        found = self._desk.reader.rows(
            "SELECT any_value(scale) FROM feature_log WHERE run = ? AND feature = ?",
            [run.name, form.feature],
        )
        scale: float | None = found[0][0]
        return JSONResponse(
            {
                "tokens": probe.tokens,
                "activations": probe.activations,
                "scale": scale,
                "html": pages.probe_html(probe, scale),
            }
        )

    def _run(self, name: str) -> Run:
        # What a run is does not change, and reading all of them takes longer than a probe.
        if name not in self._runs:
            self._runs[name] = RunStore(self._desk.reader).named(name)
        return self._runs[name]

    async def fork(self, request: Request) -> Response:
        """A fork, begun."""
        form = await read_form(request, ForkForm)
        _check_thread(form.thread)
        made = await asyncio.to_thread(self._steering.fork, form)
        return JSONResponse({"told": f"fork {made} has begun.", "open": f"/feature/{made}"})

    async def review(self, request: Request) -> Response:
        """An answer to a feature that waits, stored."""
        form = await read_form(request, ReviewForm)
        _check_thread(form.thread)
        await asyncio.to_thread(self._steering.review, form)
        return JSONResponse({"told": "the answer is stored, and the feature goes on."})


def _thread(request: Request) -> str:
    thread: str = request.path_params["thread"]
    _check_thread(thread)
    return thread


def _check_thread(thread: str) -> None:
    if not re.fullmatch(r".*/\d{1,9}", thread, re.DOTALL | re.ASCII):
        raise RunNotFound(f"there is no thread {thread!r}; open the page of all features.")


def _told(request: Request, error: Exception) -> Response:
    """What was wrong, in words: as a page to whoever opened one, else as JSON."""
    status = 422
    if isinstance(error, HTTPException):
        status = error.status_code
    elif isinstance(error, RunNotFound):
        status = 404
    message = error.detail if isinstance(error, HTTPException) else str(error)
    return _answer(request, status, message)


def _unforeseen(request: Request, error: Exception) -> Response:
    """A fault of saesage's own, told without its traceback: that is in the terminal."""
    return _answer(request, 500, "something went wrong in saesage; the terminal says what.")


def _answer(request: Request, status: int, message: str) -> Response:
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"error": message}, status)
    return HTMLResponse(pages.error_page(message), status)
