"""A saesage database with all of its tables; light enough for the commands that only read."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from graphs.runs import RUN_DDL
from tools.database import Database, initialise
from tools.harvest.schema import EXEMPLAR_DDL
from tools.llm.ledger import LLM_DDL
from tools.logit_effects import LOGIT_DDL
from tools.scheduling.measured_texts import MEASURED_DDL


@contextmanager
def open_database(path: str, *, create: bool) -> Generator[Database]:
    """Open a file, check that it is saesage's, and see that every table is there.

    Raises:
        DatabaseError: the file is missing, held by another process, foreign, of another schema
            version, or cannot be used; see `tools.errors`.
    """
    with Database.open(path, create=create) as database:
        initialise(database, (*RUN_DDL, *EXEMPLAR_DDL, *LOGIT_DDL, *LLM_DDL, *MEASURED_DDL))
        yield database
