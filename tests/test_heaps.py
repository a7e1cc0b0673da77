"""Threads share heaps: counted by the C library itself, in a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COUNT = """
import ctypes, sys, threading
from tools.heaps import share_heaps
if sys.argv[2] == "shared":
    share_heaps()
meeting = threading.Barrier(8)
def allocate():
    kept = [bytes(1000) for _ in range(1000)]
    meeting.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="there is nothing to share")
def test_threads_share_heaps(tmp_path: Path) -> None:
    def heaps(how: str) -> int:
        path = tmp_path / how
        subprocess.run([sys.executable, "-c", COUNT, str(path), how], cwd=ROOT, check=True)
        return path.read_text().count("<heap nr=")

    assert heaps("own") > 2
    assert heaps("shared") <= 2
