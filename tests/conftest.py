"""What every test runs under."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.crashes import CrashServer

# Before torch is imported: on the tests' tiny models a second thread costs more than it saves.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def crash_server() -> Iterator[CrashServer]:
    """Shared, for it takes seconds to warm up."""
    # Not before it is asked for: what it imports is slow.
    from tests.crashes import CrashServer  # noqa: PLC0415

    server = CrashServer()
    yield server
    server.close()
