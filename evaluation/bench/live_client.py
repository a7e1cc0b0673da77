"""Somebody at the live page: `python -m evaluation.bench.live_client PORT TOKEN RUN N`."""

from __future__ import annotations

import json
import sys
import time
import urllib.request

FEATURE = 17
PAUSE_SECONDS = 0.1
_WORDS = (
    "the",
    "quick",
    "brown",
    "fox",
    "imports",
    "a",
    "module",
    "and",
    "returns",
    "from",
    "its",
    "line",
)


def main() -> None:
    """Send probes one after another and print the milliseconds that each answer took, as JSON."""
    port, token, run, n = sys.argv[1:]
    print(json.dumps([_probe(port, token, run, number) for number in range(int(n))]))  # noqa: T201


def _probe(port: str, token: str, run: str, number: int) -> float:
    # Another text each time, of any length.
    text = " ".join([str(number), *_WORDS[: 1 + number % len(_WORDS)]])
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/probe",
        json.dumps({"run": run, "feature": FEATURE, "text": text}).encode(),
        {"X-Saesage-Token": token, "Content-Type": "application/json"},
    )
    time.sleep(PAUSE_SECONDS)
    start = time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        answer.read()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
