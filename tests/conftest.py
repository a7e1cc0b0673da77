"""What every test runs under."""

from __future__ import annotations

import os

# Before torch is imported: on the tests' tiny models a second thread costs more than it saves.
os.environ.setdefault("OMP_NUM_THREADS", "1")
