"""What the page has done for its reader: texts measured, and threads gone on with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphs.live.changes import Changes
from graphs.runs import Run
from tools.database import Database
from tools.errors import SaesageError

if TYPE_CHECKING:
    from graphs.instruments import Instrument, Instruments

THREADS_AT_A_TIME = 2
"""Threads that are gone on with side by side, at most."""


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
        """The run's own; says that it is being loaded if it is.

        Raises:
            SubjectError: it cannot be loaded.
        """
        instruments = self.instruments
        if instruments.are_loaded(run.config.subject):
            return instruments.of(run.config.subject)
        before = self._changes.status
        self._changes.tell(f"loading {run.config.subject.name} and its SAE")
        try:
            return instruments.of(run.config.subject)
        finally:
            self._changes.tell(before)

    def probe(self, run: Run, feature: int, text: str) -> Probe:
        """Measure a feature on a text of any length.

        Not by the scheduler: who looks on should not wait behind experiments, nor for the trials
        that come before a length is first batched. The two differ by float rounding.

        Raises:
            SubjectError: the text has no tokens, the feature does not exist, or the subject cannot
                be loaded.
        """
        from tools.long_texts import measure_texts  # noqa: PLC0415

        subject = self.instrument(run).subject
        found = measure_texts(subject, [text], [feature])[0]
        activations = tuple(float(value) for value in found.activations[:, 0])
        return Probe(tuple(found.tokens), activations, subject.info.hook_point)

    def work(self, what: str, task: Callable[[], None]) -> None:
        """Have something done in the background; what keeps it from being done is told."""
        self._pool.submit(self._attempt, what, task)

    def _attempt(self, what: str, task: Callable[[], None]) -> None:
        self._changes.tell(what)
        try:
            task()
        except SaesageError as error:
            self._changes.tell(f"{what}: {error}")
        else:
            self._changes.tell("")

    def close(self) -> None:
        """Wait for the work in hand, drop what has not begun, and store what was measured."""
        self._pool.shutdown(cancel_futures=True)
        if self._instruments is not None:
            self._instruments.close()


def shares(values: Sequence[float], scale: float | None) -> list[float]:
    """Each value as a share of the scale, or of the strongest where there is none; in [0, 1]."""
    whole = scale or max(values, default=0.0)
    return [min(max(value / whole, 0.0), 1.0) if whole > 0 else 0.0 for value in values]
