"""Models with their SAEs, loaded when first needed and shared by all who measure."""

from __future__ import annotations

import threading
from typing import NamedTuple

from graphs.claims import Claims
from graphs.config import SubjectConfig
from graphs.subjects import Subjects
from tools.activations import SparseSubject, Subject, lanes_of
from tools.database import Database
from tools.lanes import Lanes
from tools.scheduling.measured_texts import MeasuredTexts
from tools.scheduling.scheduler import Scheduler


class Instrument(NamedTuple):
    """A subject, the one line to it, and a way past that."""

    subject: Subject
    scheduler: Scheduler
    aside: Lanes
    """For what should not wait in the line. Of few threads like the scheduler's own: a pass that
    shares each product between processors stands still whenever one of them is taken. The
    scheduler's itself where a subject says nothing of threads."""


class Instruments:
    """The instruments of a database's runs; safe to share between threads."""

    def __init__(self, database: Database, subjects: Subjects | None = None) -> None:
        """Load nothing yet.

        Args:
            database: Keeps what is measured.
            subjects: Has those that are loaded already.
        """
        self.claims = Claims()
        self._subjects = subjects or Subjects()
        self._measured = MeasuredTexts(database)
        self._ready: dict[SubjectConfig, Instrument] = {}
        self._lock = threading.Lock()

    def of(self, config: SubjectConfig) -> Instrument:
        """The instrument of that configuration; loaded at the first call, which may take minutes.

        Raises:
            SubjectError: it cannot be loaded; another call tries again.
        """
        with self._lock:
            if config not in self._ready:
                subject = self._subjects.load(config)
                scheduler = Scheduler(subject, self._measured)
                threaded = isinstance(subject, SparseSubject)
                aside = lanes_of(subject) if threaded else scheduler.lanes
                self._ready[config] = Instrument(subject, scheduler, aside)
            return self._ready[config]

    def are_loaded(self, config: SubjectConfig) -> bool:
        """Whether `of` would answer at once."""
        return config in self._ready

    def close(self) -> None:
        """Let go of the subjects and store what was measured; nobody may be measuring any more.

        Raises:
            DatabaseError: it could not be stored.
        """
        for instrument in self._ready.values():
            instrument.scheduler.close()
            instrument.aside.shutdown(cancel_futures=True)
        self._ready.clear()
        self._measured.close()
