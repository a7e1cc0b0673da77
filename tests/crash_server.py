"""Forks children of a warm process, so that a test can kill many of them cheaply.

Importing sae-lens takes seconds; a fork of a process that has it takes none. Reads lines
`CONFIG-OR-DB SECONDS` from standard input: the child explains (or resumes) with the command line's
own code and is killed with SIGKILL after so many seconds, or never if that is 0. Answers each with
`killed` or the child's exit code.
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


def wait(pid: int, seconds: float) -> str:
    """Kill the child after `seconds` (0: never); what became of it."""
    deadline = time.monotonic() + seconds
    while not seconds or time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return str(os.waitstatus_to_exitcode(status))
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "killed"


def main() -> None:
    """Serve until standard input ends."""
    # A fork must not inherit a pool of threads.
    torch.set_num_threads(1)
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        *arguments, seconds = line.rstrip("\n").split("\t")
        print(wait(child(arguments), float(seconds)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
