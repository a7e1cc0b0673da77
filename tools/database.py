"""One DuckDB file: one connection, one lock, and errors that say what to do."""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import duckdb

from tools.errors import (
    DatabaseError,
    DatabaseFull,
    DatabaseInUse,
    DatabaseNotFound,
    ForeignDatabase,
    SchemaVersionError,
)

UTC_STAMP = "TIMESTAMP DEFAULT (now() AT TIME ZONE 'UTC')"
"""Type of a column that says when its row was written. Without a time zone, for DuckDB's Python
client needs a further package to read one with."""

SCHEMA_VERSION = 6
"""Version of the tables; raised whenever an older saesage could misread a newer file."""

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # Files in DuckDB 2's own format are unreadable to the 1.x command line most people have.
    "storage_compatibility_version": "v1.5.0",
    # Every transaction here is small: handing it to a second thread costs more than it saves.
    "threads": 1,
    # Opening a SQLite file would otherwise make DuckDB download an extension.
    "autoinstall_known_extensions": False,
}

_CAUSES: tuple[tuple[str, type[DatabaseError], str], ...] = (
    (
        r"Could not set lock on file",
        DatabaseInUse,
        "{path} is in use by {holder}; wait until it ends or stop it, then try again.",
    ),
    (
        r"different configuration",
        DatabaseInUse,
        "{path} is already open in this process with other settings; close that connection first.",
    ),
    (
        r"No space left|File too large|quota exceeded",
        DatabaseFull,
        "No space left for {path}; what was committed is kept. "
        "Free space, then `saesage resume {path}`.",
    ),
    (
        r"not a valid DuckDB database|sqlite_scanner",
        ForeignDatabase,
        "{path} is not a DuckDB file; it was left as it is, name another path.",
    ),
    (r"already closed", DatabaseError, "{path} was closed; open it again."),
    (
        r"has been invalidated|Failed to create checkpoint",
        DatabaseError,
        "DuckDB stopped using {path} after an earlier failure; what was committed is kept. "
        "Open it again.",
    ),
    (
        r"^IO Error",
        DatabaseError,
        "Cannot use {path}: {reason}. Check the path and that you may read and write it.",
    ),
)
"""What DuckDB's messages mean, first match wins. Anything else is a bug and keeps its traceback."""

# Two Databases on one file would conflict inside DuckDB, so all of a process share its lock.
_locks: weakref.WeakValueDictionary[str, threading.RLock] = weakref.WeakValueDictionary()
_locks_guard = threading.Lock()


class Database:
    """One DuckDB file held by this process: one connection, one lock.

    Safe to share between threads. `open` is the way in; use it in a `with` block, or call
    `close`. A Database never closed closes itself when collected or when the interpreter exits.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: str,
        lock: threading.RLock | None = None,
    ) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock or _lock_of(path)
        self._in_transaction = False
        # DuckDB reports a page of leaked objects for connections open at interpreter exit.
        self._finalizer = weakref.finalize(self, connection.close)

    @classmethod
    def open(cls, path: str | Path, *, create: bool = True) -> Self:
        """Open a file and keep other processes out of it until `close`.

        Args:
            path: The file, or ":memory:". Missing parent directories are made.
            create: Whether to make the file if there is none.

        Raises:
            DatabaseNotFound: There is no such file, and `create` is False.
            DatabaseInUse: Another process holds the file.
            ForeignDatabase: The file is not a DuckDB file.
            DatabaseError: The file cannot be opened for another reason.
        """
        path = str(path)
        if path != ":memory:":
            _prepare(Path(path), create=create)
        with _typed_errors(path):
            return cls(duckdb.connect(path, config=_CONFIG), path)

    def reader(self) -> Self:
        """The same file once more, for reading while others write: neither waits for the other.

        Inside `transaction` it sees the file as it was when that began. Must be closed before
        the Database that it comes from.
        """
        with self._lock, _typed_errors(self.path):
            return type(self)(self._connection.cursor(), self.path, threading.RLock())

    @contextmanager
    def transaction(self) -> Generator[duckdb.DuckDBPyConnection]:
        """Hold the lock and commit on leaving, or roll back on any error.

        `rows` and `records` may be called inside: they see the transaction's own writes.

        Raises:
            DatabaseError: This thread is already in a transaction: pass its connection on, for
                a nested one could be neither committed nor rolled back on its own.
            DatabaseFull: The disk is full; the transaction is rolled back.
        """
        with self._lock, _typed_errors(self.path):
            if self._in_transaction:
                raise DatabaseError(
                    f"A transaction on {self.path} is already open; use the connection it gave you."
                )
            self._connection.begin()
            self._in_transaction = True
            try:
                yield self._connection
                self._connection.commit()
            except BaseException:
                # DuckDB has already rolled back when it is the commit that failed.
                with suppress(duckdb.Error):
                    self._connection.rollback()
                raise
            finally:
                self._in_transaction = False

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return all its rows."""
        with self._lock, _typed_errors(self.path):
            return self._connection.execute(sql, params).fetchall()

    def records(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run one statement and return its rows as dicts keyed by column name."""
        with self._lock, _typed_errors(self.path):
            result = self._connection.execute(sql, params)
            names = [column[0] for column in result.description or ()]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def array_records(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Do as `records` does, with each list as a NumPy array: much quicker for long ones."""
        with self._lock, _typed_errors(self.path):
            columns = self._connection.execute(sql, params).fetchnumpy()
        rows = zip(*(values.tolist() for values in columns.values()), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def close(self) -> None:
        """Let go of the file, once a transaction of another thread has ended. Idempotent."""
        with self._lock:
            self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def initialise(database: Database, ddl: Sequence[str]) -> None:
    """Check that the file is saesage's, stamp it if it is empty, and make the tables.

    Args:
        database: An open file.
        ddl: `CREATE TABLE IF NOT EXISTS` statements of everyone who keeps tables in it. All are
            applied in one transaction, or none.

    Raises:
        SchemaVersionError: The file has another schema version.
        ForeignDatabase: The file holds tables, and saesage did not make them.
    """
    with database.transaction() as connection:
        version = _schema_version(connection, database.path)
        if version is None:
            connection.execute(
                "CREATE TABLE saesage_schema AS "
                "SELECT ?::INTEGER AS version, now() AT TIME ZONE 'UTC' AS created_at",
                [SCHEMA_VERSION],
            )
        elif version != SCHEMA_VERSION:
            raise SchemaVersionError(
                f"{database.path} has schema version {version}, this saesage needs "
                f"{SCHEMA_VERSION}: use the saesage that wrote it, or start a new file."
            )
        for statement in ddl:
            connection.execute(statement)


def insert(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    rows: Sequence[Sequence[Any]],
    columns: Sequence[str] = (),
) -> None:
    """Insert rows, if there are any, in one statement that does not grow with them.

    Args:
        connection: What `Database.transaction` gave.
        table: Its name.
        rows: One or many.
        columns: Names of the columns that the rows have, in order, where that is not all.
    """
    if rows:
        # Not executemany, which plans and runs the statement anew for each row.
        names = f"({', '.join(columns)})" if columns else ""
        connection.execute(
            f"INSERT INTO {table} {names} SELECT {', '.join(['unnest(?)'] * len(rows[0]))}",
            [list(column) for column in zip(*rows, strict=True)],
        )


def _schema_version(connection: duckdb.DuckDBPyConnection, path: str) -> int | None:
    """The version the file is stamped with; None if it is empty."""
    found = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_catalog = current_database()"
    ).fetchall()
    if not found:
        return None
    if ("saesage_schema",) not in found:
        raise ForeignDatabase(
            f"{path} holds tables that are not saesage's; it was left as it is, name another path."
        )
    return connection.execute("SELECT max(version) FROM saesage_schema").fetchall()[0][0]


def _lock_of(path: str) -> threading.RLock:
    if path == ":memory:":
        return threading.RLock()
    with _locks_guard:
        return _locks.setdefault(str(Path(path).resolve()), threading.RLock())


def _prepare(path: Path, *, create: bool) -> None:
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.exists():
            raise DatabaseNotFound(f"There is no database at {path}; check the path.")
    except OSError as error:
        raise DatabaseError(f"Cannot use {path}: {error}. Check the path.") from error


@contextmanager
def _typed_errors(path: str) -> Generator[None]:
    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        for pattern, kind, message in _CAUSES:
            if re.search(pattern, text):
                reason = text.splitlines()[0].removeprefix("IO Error: ").rstrip(".")
                told = message.format(path=path, holder=_holder(text), reason=reason)
                raise kind(told) from error
        raise


def _holder(text: str) -> str:
    """Who holds the lock, from DuckDB's message and, where there is one, /proc."""
    pid = re.search(r"PID (\d+)", text)
    if pid is None:
        return "another process"
    program = re.search(r"held in (.+?) \(PID", text)
    command = program[1] if program else ""
    with suppress(OSError):
        raw = Path(f"/proc/{pid[1]}/cmdline").read_bytes()
        command = raw.replace(b"\0", b" ").decode(errors="replace").strip() or command
    return f"process {pid[1]} ({command[:100]})" if command else f"process {pid[1]}"
