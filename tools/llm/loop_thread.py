"""An event loop in a thread of its own, which other threads hand work to and wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines of many threads in one event loop. Close it; it is a daemon if you don't."""

    def __init__(self, name: str) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._running: set[asyncio.Task[Any]] = set()
        self._submitting = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and return what it does.

        Raises:
            KeyboardInterrupt: the loop was closed, before or meanwhile. No Exception, so that it
                is not taken for a failure of the work.
        """
        with self._submitting:
            if self._closed:
                work.close()
                raise KeyboardInterrupt
            future = asyncio.run_coroutine_threadsafe(self._counted(work), self._loop)
        try:
            return future.result()
        except CancelledError:
            raise KeyboardInterrupt from None

    def close(self, finish: Callable[[], Awaitable[None]]) -> None:
        """Cancel what runs, run `finish`, and end the thread. Idempotent."""
        with self._submitting:
            if self._closed:
                return
            self._closed = True
        try:
            asyncio.run_coroutine_threadsafe(self._end(finish), self._loop).result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _counted(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            return await work
        finally:
            self._running.discard(task)

    async def _end(self, finish: Callable[[], Awaitable[None]]) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        try:
            await finish()
        finally:
            await self._loop.shutdown_asyncgens()
            await self._loop.shutdown_default_executor()
