"""What the page has done for its reader: texts measured, and threads gone on with."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from graphs.live.changes import Changes
from graphs.projection import split_thread
from graphs.runs import Run, RunStore
from graphs.stopping import Stop
from tools.database import Database
from tools.errors import SaesageError

if TYPE_CHECKING:
    from graphs.instruments import Instrument, Instruments

logger = logging.getLogger(__name__)

THREADS_AT_A_TIME = 2
"""Threads that are gone on with side by side, at most."""

LOADING = "loading"
"""Who tells that a subject is being loaded."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One text, measured for one feature."""

    tokens: tuple[str, ...]
    activations: tuple[float, ...]
    """By token, in the SAE's own units."""
    hook_point: str

    @property
    def maximum(self) -> float:
        """The strongest activation."""
        return max(self.activations)

    @property
    def mean(self) -> float:
        """The mean activation over the tokens."""
        return sum(self.activations) / len(self.activations)


class Workshop:
    """Model and SAE, loaded when first needed, and a few threads to work in."""

    def __init__(self, database: Database, changes: Changes) -> None:
        """Load nothing yet.

        Args:
            database: The one whose runs are worked on.
            changes: Is told what goes on.
        """
        self.database = database
        self._changes = changes
        self._instruments: Instruments | None = None
        self._pool = ThreadPoolExecutor(THREADS_AT_A_TIME, thread_name_prefix="steered")
        self._stop = Stop()
        self._lock = threading.Lock()

    @property
    def instruments(self) -> Instruments:
        """Those of the database; torch is imported at the first call."""
        # Seconds of imports that whoever only looks need not wait for.
        from graphs.instruments import Instruments  # noqa: PLC0415

        with self._lock:
            if self._instruments is None:
                self._instruments = Instruments(self.database)
            return self._instruments

    def instrument(self, run: Run) -> Instrument:
        """The run's own; tells that it is being loaded if it is.

        Raises:
            SubjectError: it cannot be loaded.
        """
        if self._instruments and self._instruments.are_loaded(run.config.subject):
            return self._instruments.of(run.config.subject)
        self._changes.tell(LOADING, f"loading {run.config.subject.name} and its SAE …")
        try:
            return self.instruments.of(run.config.subject)
        finally:
            self._changes.tell(LOADING, "")

    def probe(self, run: Run, feature: int, text: str) -> Probe:
        """Measure a feature on a text of any length.

        Not by the scheduler: who looks on should not wait behind experiments, nor for the trials
        that come before a length is first batched. The two differ by float rounding.

        Raises:
            SubjectError: the text has no tokens, the feature does not exist, or the subject cannot
                be loaded.
        """
        from tools.long_texts import measure_texts  # noqa: PLC0415

        instrument = self.instrument(run)
        subject = instrument.subject
        found = instrument.aside.submit(measure_texts, subject, [text], [feature]).result()[0]
        activations = tuple(float(value) for value in found.activations[:, 0])
        return Probe(tuple(found.tokens), activations, subject.info.hook_point)

    def go_on(self, thread: str) -> None:
        """Have a thread that can go on run to its end, in the background."""
        self._changes.tell(thread, f"{thread} waits for its turn")
        going = self._pool.submit(self._finish, thread)
        going.add_done_callback(partial(self._tell_fault, thread))

    def _tell_fault(self, thread: str, going: Future[None]) -> None:
        """Nobody waits for the result: what was not foreseen would vanish."""
        fault = None if going.cancelled() else going.exception()
        if fault is not None:
            logger.error("%s could not go on", thread, exc_info=fault)
            self._changes.tell(thread, f"{thread}: something went wrong; the terminal says what")

    def _finish(self, thread: str) -> None:
        # As `instruments`.
        from graphs.run import finish_run  # noqa: PLC0415

        run_name, feature = split_thread(thread)
        reporter = _Steered(thread, self._changes)
        try:
            run = RunStore(self.database).named(run_name)
            finish_run(
                self.database,
                run,
                reporter,
                stop=self._stop,
                instruments=self.instruments,
                only=feature,
            )
        except SaesageError as error:
            self._changes.tell(thread, f"{thread}: {error}")
        else:
            self._changes.tell(thread, "")

    def close(self) -> None:
        """End the work in hand after the step it is in, and store what was measured.

        Raises:
            DatabaseError: what was measured could not be stored.
        """
        self._stop.ask()
        self._pool.shutdown(cancel_futures=True)
        if self._instruments is not None:
            self._instruments.close()


@dataclass(frozen=True, slots=True)
class _Steered:
    """A Reporter that tells the page how far a thread is."""

    thread: str
    changes: Changes

    def stage(self, message: str) -> None:
        """Tell."""
        self.changes.tell(self.thread, f"{self.thread}: {message}")

    def harvest(self, done: int, total: int) -> None:
        """Nothing to tell: whoever steers a feature has its exemplars."""

    def features(self, done: int, total: int) -> None:
        """Nothing to tell: it is one feature."""

    def step(self, feature: int, node: str) -> None:
        """Tell the step."""
        self.changes.tell(self.thread, f"{self.thread}: {node.replace('_', ' ')}")
