"""Models with their SAEs, loaded when first needed and shared by all who measure."""

from __future__ import annotations

import threading
from typing import NamedTuple

from graphs.config import SubjectConfig
from graphs.subjects import open_subject
from tools.activations import Subject
from tools.database import Database
from tools.scheduling.measured_texts import MeasuredTexts
from tools.scheduling.scheduler import Scheduler


class Instrument(NamedTuple):
    """A subject, and the one line to it."""

    subject: Subject
    scheduler: Scheduler


class Instruments:
    """The instruments of a database's runs; safe to share between threads."""

    def __init__(self, database: Database) -> None:
        """Load nothing yet."""
        self._measured = MeasuredTexts(database)
        self._loaded: dict[str, Instrument] = {}
        self._lock = threading.Lock()

    def of(self, config: SubjectConfig) -> Instrument:
        """The instrument of that configuration; loaded at the first call, which may take minutes.

        Raises:
            SubjectError: it cannot be loaded; another call tries again.
        """
        key = config.model_dump_json()
        with self._lock:
            if key not in self._loaded:
                subject = open_subject(config)
                self._loaded[key] = Instrument(subject, Scheduler(subject, self._measured))
            return self._loaded[key]

    def are_loaded(self, config: SubjectConfig) -> bool:
        """Whether `of` would answer at once."""
        return config.model_dump_json() in self._loaded

    def close(self) -> None:
        """Store what was measured.

        Raises:
            DatabaseError: it could not be.
        """
        self._measured.close()
