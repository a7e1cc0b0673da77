"""Many features side by side: one may fail alone, and all of them can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from graphs.stopping import Stop
from tools.errors import (
    CallFailed,
    DatabaseError,
    LanguageModelUnusable,
    MalformedReply,
    SaesageError,
)

FATAL = (DatabaseError, LanguageModelUnusable)
"""What fails one feature like this would fail every other."""

PASSING = (CallFailed, MalformedReply)
"""What a server's bad minute looks like."""

PASSES = 2
"""How often in all a feature is tried that failed in a way that may pass."""

GLANCE_SECONDS = 0.5
"""How long an interrupt may go unnoticed."""

OnStep = Callable[[int, str], None]
"""Hears that a node of a feature's graph begins; what it raises ends the feature there."""


class _EndedHere(Exception):
    """Ends a feature between two steps."""


class FeatureWorkers:
    """Threads that explain one feature after another, until all are done or none can go on."""

    def __init__(
        self,
        explain: Callable[[int, OnStep], None],
        *,
        in_flight: int,
        on_step: OnStep,
        on_done: Callable[[int, SaesageError | None], None],
        release: Callable[[], None],
        stop: Stop | None = None,
    ) -> None:
        """Prepare; `finish` begins.

        Args:
            explain: Explains one feature, telling each step; run by several threads at a time.
            in_flight: Most features at a time. One needs no thread, and can be interrupted
                anywhere.
            on_step: Hears each step.
            on_done: Hears of each feature that was tried, and why it failed if it did.
            release: Makes what waits inside of `explain` end with KeyboardInterrupt.
            stop: Asked to stop, features end after the step they are in.
        """
        self._explain = explain
        self._in_flight = in_flight
        self._on_step = on_step
        self._on_done = on_done
        self._release = release
        self._stop_asked = stop or Stop()
        self._stopping = threading.Event()
        self._again: list[int] = []

    def finish(self, features: Sequence[int]) -> None:
        """Explain the features, in this order as far as there is one; some are tried again.

        Returns early when it is asked to stop.

        Raises:
            DatabaseError, LanguageModelUnusable: no feature can be explained.
            KeyboardInterrupt: somebody wants it to end. As with any other error that is not a
                SaesageError, no thread is left when it is raised, and what was committed is kept.
        """
        for _ in range(PASSES):
            self._again = []
            self._pass(features)
            features = sorted(self._again, key=features.index)

    def _pass(self, features: Sequence[int]) -> None:
        in_flight = min(self._in_flight, len(features))
        if in_flight <= 1:
            for feature in features:
                self._attempt(feature)
            return
        pool = ThreadPoolExecutor(in_flight, thread_name_prefix="feature")
        try:
            tries = [pool.submit(self._attempt, feature) for feature in features]
            # Python may overlook a signal that comes just before it begins to wait for good.
            waiting: Collection[Future[None]] = tries
            while waiting:
                waiting = wait(waiting, timeout=GLANCE_SECONDS).not_done
        except KeyboardInterrupt:
            self._stop()
            raise
        finally:
            pool.shutdown()
        _raise_first(tries)

    def _attempt(self, feature: int) -> None:
        if self._stopping.is_set() or self._stop_asked.asked:
            return
        try:
            failure = self._failure(feature)
            self._on_done(feature, failure)
        except _EndedHere:
            return
        except BaseException:
            self._stop()
            raise
        if isinstance(failure, PASSING):
            self._again.append(feature)

    def _failure(self, feature: int) -> SaesageError | None:
        try:
            self._explain(feature, self._step)
        except FATAL:
            raise
        except SaesageError as error:
            return error
        return None

    def _step(self, feature: int, node: str) -> None:
        if self._stopping.is_set():
            raise KeyboardInterrupt
        if self._stop_asked.asked:
            raise _EndedHere
        self._on_step(feature, node)

    def _stop(self) -> None:
        self._stopping.set()
        self._release()


def _raise_first(tries: Collection[Future[None]]) -> None:
    """Raise what stopped the others, not that they were stopped."""
    errors = [error for each in tries if (error := each.exception())]
    for error in sorted(errors, key=lambda error: isinstance(error, KeyboardInterrupt)):
        raise error
