"""A saesage database with the tables of scores."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from evaluation.scores import SCORE_DDL
from graphs.storage import open_database
from tools.database import Database, initialise


@contextmanager
def open_scores(path: str) -> Generator[Database]:
    """Open a database that holds runs, and see that it has the tables of scores.

    Raises:
        DatabaseError: the file is missing, held by another process, foreign, of another schema
            version, or cannot be used; see `tools.errors`.
    """
    with open_database(path, create=False) as database:
        initialise(database, SCORE_DDL)
        yield database
