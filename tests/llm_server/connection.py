"""HTTP/1.1 over one socket: h11 reads and writes, asyncio carries."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol, cast

import h11


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One request, read to its end."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    at: float
    """When it had arrived, in seconds of time.monotonic()."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut: bool = False
    """Whether the connection drops halfway through the body."""


class Service(Protocol):
    """Answers the requests of all connections. Called in the loop's thread only."""

    def arrived(self, request: Request) -> None:
        """The request is in flight from now on."""
        ...

    async def answer(self, request: Request) -> Answer:
        """What to send; cancelled when the client goes away first."""
        ...

    def left(self, request: Request, answer: Answer | None) -> None:
        """The request is in flight no more: answered now, or given up by its client (None)."""
        ...

    def broken(self, request: Request, error: BaseException) -> Answer:
        """What to send when `answer` raised."""
        ...


class HttpConnection(asyncio.Protocol):
    """One client's connection, with one request in flight at most."""

    def __init__(self, service: Service, open_connections: set[HttpConnection]) -> None:
        self._service = service
        self._open = open_connections
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.SERVER)
        self._head: h11.Request | None = None
        self._body: list[bytes] = []
        self._request: Request | None = None
        self._task: asyncio.Task[Answer] | None = None
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._open.add(self)

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        self._read()

    def eof_received(self) -> None:
        self._lost()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()
        self._open.discard(self)

    def abort(self) -> None:
        """Drop the connection at once, with whatever is in flight on it."""
        self._lost()
        self._transport.abort()

    def _lost(self) -> None:
        self._gone = True
        request, self._request = self._request, None
        if request is not None:
            self._service.left(request, None)
        if self._task is not None:
            self._task.cancel()

    def _read(self) -> None:
        try:
            while (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.Request):
                    self._head, self._body = event, []
                elif isinstance(event, h11.Data):
                    self._body.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage) and self._head is not None:
                    # A client that gives up and asks anew on another socket closes the first one
                    # before. Both may be read in one turn of the loop, in either order: waiting
                    # for the next turn lets the old request leave before the new one counts.
                    self._loop.call_soon(self._begin, self._whole(self._head))
                else:
                    return
        except h11.RemoteProtocolError:
            self._transport.close()

    def _whole(self, head: h11.Request) -> Request:
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        method, path = head.method.decode(), head.target.decode("latin-1")
        return Request(method, path, headers, b"".join(self._body), self._loop.time())

    def _begin(self, request: Request) -> None:
        self._service.arrived(request)
        if self._gone:
            self._service.left(request, None)
            return
        self._request = request
        self._task = self._loop.create_task(self._service.answer(request))
        self._task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[Answer]) -> None:
        self._task = None
        request, self._request = self._request, None
        if task.cancelled() or request is None:
            return
        error = task.exception()
        answer = task.result() if error is None else self._service.broken(request, error)
        # Before it is sent: a client must not be able to send its next request any sooner.
        self._service.left(request, answer)
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        size = len(answer.body)
        named = {"content-type": answer.content_type, "content-length": str(size), **answer.headers}
        headers = [(name.encode(), value.encode()) for name, value in named.items()]
        reason = HTTPStatus(answer.status).phrase.encode()
        response = h11.Response(status_code=answer.status, headers=headers, reason=reason)
        parts = [self._http.send(response)]
        if answer.cut:
            parts.append(self._http.send(h11.Data(data=answer.body[: size // 2])))
        else:
            parts.append(self._http.send(h11.Data(data=answer.body)))
            parts.append(self._http.send(h11.EndOfMessage()))
        self._transport.write(b"".join(part for part in parts if part))
        if answer.cut or self._http.our_state is h11.MUST_CLOSE:
            self._transport.close()
        else:
            self._http.start_next_cycle()
            self._read()
