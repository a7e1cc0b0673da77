"""Changes as server-sent events: the browser hears of them, and comes back by itself."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator

from starlette.responses import StreamingResponse

from graphs.live.changes import Changes

GLANCE_SECONDS = 0.4
"""How long a change may go unnoticed."""

SILENCE_SECONDS = 15.0
"""How often a silent connection is used, so that it is seen to be alive."""

RETRY_MILLISECONDS = 1000


class Announcer:
    """Looks for changes while anybody listens, and tells all who do."""

    def __init__(self, changes: Changes, closing: threading.Event) -> None:
        """Tell of `changes` until `closing`."""
        self._changes = changes
        self._closing = closing
        self._looking = asyncio.Lock()
        self._looked = float("-inf")

    def response(self, mark: str) -> StreamingResponse:
        """All changes after `mark`, for as long as the browser listens."""
        return StreamingResponse(self._events(mark), media_type="text/event-stream")

    async def _events(self, mark: str) -> AsyncGenerator[str]:
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        silent = 0.0
        while not self._closing.is_set():
            await self._look()
            change = self._changes.since(mark)
            if change.mark != mark:
                mark, silent = change.mark, 0.0
                data = json.dumps({"threads": change.threads, "status": change.status})
                yield f"id: {mark}\nevent: change\ndata: {data}\n\n"
            elif silent >= SILENCE_SECONDS:
                silent = 0.0
                yield ": still here\n\n"
            await asyncio.sleep(GLANCE_SECONDS)
            silent += GLANCE_SECONDS

    async def _look(self) -> None:
        """Look, unless another listener has just done so."""
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now - self._looked >= GLANCE_SECONDS / 2:
                await asyncio.to_thread(self._changes.look)
                self._looked = asyncio.get_running_loop().time()
