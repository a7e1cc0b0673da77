"""Forks children of a warm process, so that a test can kill many of them cheaply.

Importing sae-lens takes seconds; a fork of a process that has it takes none. Reads lines
from standard input: the arguments of a command, a signal's name and seconds, separated by tabs.
The child runs the command with the command line's own code and is sent the signal after so many
seconds, or never if that is 0. Answers each with the child's exit code (negative: the signal that
ended it).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence

import torch

import saesage
import tools.subject  # noqa: F401  (what makes a start slow)
from graphs import run  # noqa: F401
from graphs.policies import symbolic  # noqa: F401


def child(arguments: Sequence[str]) -> int:
    """Start the command in a fork; its process id."""
    pid = os.fork()
    if pid == 0:
        # A session of its own keeps a kill from reaching the parent.
        os.setsid()
        sys.argv = ["saesage", *arguments]
        with open(os.devnull, "w") as null:
            os.dup2(null.fileno(), 1)
            try:
                saesage.main()
            except SystemExit as end:
                os._exit(int(end.code or 0))
    return pid


def wait(pid: int, name: str, seconds: float) -> int:
    """Send the child a signal after `seconds` (0: never); what it ended with."""
    deadline = time.monotonic() + seconds
    while seconds and time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    if seconds:
        os.kill(pid, signal.Signals[name])
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    """Serve until standard input ends."""
    # A fork must not inherit a pool of threads.
    torch.set_num_threads(1)
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        *arguments, name, seconds = line.rstrip("\n").split("\t")
        print(wait(child(arguments), name, float(seconds)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
