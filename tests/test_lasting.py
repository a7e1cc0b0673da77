"""Heavy imports: looked through for garbage once, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(code: str) -> list[str]:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_what_is_there_is_not_looked_at_again_but_its_garbage_is_gone() -> None:
    assert run(
        "import gc, weakref\n"
        "from tools.lasting import import_lasting\n"
        "class Ring: pass\n"
        "garbage = Ring(); garbage.itself = garbage; seen = weakref.ref(garbage); del garbage\n"
        "import_lasting('decimal')\n"
        "print(seen(), gc.get_freeze_count() > 1000, len(gc.get_objects()) < 1000, gc.isenabled())"
    ) == ["None", "True", "True", "True"]


def test_garbage_is_collected_after_an_import_that_failed() -> None:
    assert run(
        "import gc\n"
        "from tools.lasting import import_lasting\n"
        "try: import_lasting('no_such_module')\n"
        "except ModuleNotFoundError: print(gc.isenabled(), gc.get_freeze_count())"
    ) == ["True", "0"]
