"""What the server saw, and the figures over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class Record:
    """One request. Times are seconds of time.monotonic(), the same clock in every process."""

    path: str
    headers: Mapping[str, str]
    body: Any
    """Parsed JSON; None when there was none or it was broken."""
    at: float
    answered_at: float | None = None
    """When it was answered or its client gave up; None while it is in flight."""
    fault: str | None = None
    """Name of the fault that it met."""
    status: int | None = None
    """None while it is in flight, and when its client gave up."""


class Log:
    """All requests since the last reset."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.peak = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.asked = 0
        """Chat completions that were not refused at once: the ordinal number of the next one."""
        self._in_flight = 0
        self._busy_s = 0.0
        self._busy_since = 0.0

    def begin(self, record: Record, now: float) -> None:
        """The request is in flight from now on."""
        if self._in_flight == 0:
            self._busy_since = now
        self.records.append(record)
        self._in_flight += 1
        self.peak = max(self.peak, self._in_flight)

    def end(self, record: Record, status: int | None, now: float) -> None:
        """The request is in flight no more."""
        record.status, record.answered_at = status, now
        self._in_flight -= 1
        if self._in_flight == 0:
            self._busy_s += now - self._busy_since

    def give_out(self, usage: Mapping[str, Any]) -> None:
        """Add the usage that a reply reported; what it leaves out counts nothing."""
        self.prompt_tokens += usage.get("prompt_tokens", 0)
        self.completion_tokens += usage.get("completion_tokens", 0)

    def busy_s(self, now: float) -> float:
        """Seconds with at least one request in flight."""
        return self._busy_s + (now - self._busy_since if self._in_flight else 0.0)

    def stats(self, now: float) -> dict[str, Any]:
        """The figures for GET /_stats; `first_at` and `last_at` are None before any request.

        `last_at` is when the last request was answered (arrived, while it is in flight).
        """
        records = self.records
        return {
            "count": len(records),
            "peak": self.peak,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "faults": dict(Counter(record.fault for record in records if record.fault)),
            "busy_s": self.busy_s(now),
            "first_at": min((record.at for record in records), default=None),
            "last_at": max((record.answered_at or record.at for record in records), default=None),
        }

    def as_json(self) -> list[dict[str, Any]]:
        """The records for GET /_requests."""
        return [asdict(record) for record in self.records]
