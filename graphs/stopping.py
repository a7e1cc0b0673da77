"""How a run is asked to stop: the step under way is finished and stored, and no other begins."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from tools.errors import EXIT_INTERRUPTED

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ASKED = "\nfinishing the current step; once more to stop at once\n"
AT_ONCE = "\nstopped at once; what was stored is kept, go on with: saesage resume\n"


class Stop:
    """Whether somebody wants a run to stop; safe under threads."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._stepping = threading.Event()

    def ask(self) -> None:
        """Let every feature end after the step it is in."""
        self._asked.set()

    @property
    def asked(self) -> bool:
        """Whether to begin no further step."""
        return self._asked.is_set()

    @property
    def stepping(self) -> bool:
        """Whether there are steps now that can be finished."""
        return self._stepping.is_set()

    @contextmanager
    def steps(self) -> Generator[None]:
        """Tell that features are being explained now."""
        self._stepping.set()
        try:
            yield
        finally:
            self._stepping.clear()


@contextmanager
def on_signals(stop: Stop) -> Generator[None]:
    """Have Ctrl-C and SIGTERM ask for a stop, and a second one end the process at once.

    Before features are being explained they do what they did: there is no step to finish. To be
    used in the main thread.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def heard(number: int, frame: FrameType | None) -> None:
        usual = before[signal.Signals(number)]
        if stop.asked:
            # Safe: whatever was committed survives a kill at any moment.
            os.write(2, AT_ONCE.encode())
            os._exit(EXIT_INTERRUPTED)
        if not stop.stepping and callable(usual):
            usual(number, frame)
        else:
            stop.ask()
            os.write(2, ASKED.encode())

    for number in SIGNALS:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)
