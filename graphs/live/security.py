"""Who may ask: this machine's browser, under this page's own name, and with the token to write."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "X-Saesage-Token"
LARGEST_BODY = 64 * 1024
"""Bytes of the longest request body."""

_READING = ("GET", "HEAD")

_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """Refuses requests that another site could have made, and writing without the token.

    A page of another site can send requests here through its reader's browser. The `Origin` of such
    a request is that site; and where its name was made to point to this machine (DNS rebinding),
    so is the `Host`.
    """

    def __init__(self, app: ASGIApp, *, port: int, token: str, policy: str) -> None:
        """Let through to `app` what may pass.

        Args:
            app: what is guarded.
            port: where it is served.
            token: what a request must carry in TOKEN_HEADER unless it only reads.
            policy: the content security policy of all answers.
        """
        self._app = app
        # Browsers leave the usual port out.
        ports = ("", ":80") if port == 80 else (f":{port}",)
        self._hosts = {f"{name}{end}" for name in ("127.0.0.1", "localhost") for end in ports}
        self._origins = {f"http://{host}" for host in self._hosts}
        self._token = token.encode()
        self._headers = {**_HEADERS, "Content-Security-Policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or have `app` answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, protected)
        else:
            status, reason = refusal
            await JSONResponse({"error": reason}, status)(scope, receive, protected)

    def _refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """Status and reason, or None for what may pass."""
        if headers.get("host") not in self._hosts:
            return 421, "this page answers under 127.0.0.1 and localhost only."
        if headers.get("origin", next(iter(self._origins))) not in self._origins:
            return 403, "requests from other sites are refused."
        if method in _READING:
            return None
        if not hmac.compare_digest(headers.get(TOKEN_HEADER, "").encode(), self._token):
            return 401, "the token is missing or wrong; it was printed in the terminal."
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return 411, "the request does not say how long it is."
        if int(length) > LARGEST_BODY:
            return 413, f"the request is longer than {LARGEST_BODY} bytes."
        return None
