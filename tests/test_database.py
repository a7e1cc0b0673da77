"""The DuckDB file: transactions, one holder at a time, and errors that say what to do."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from tools.database import SCHEMA_VERSION, Database, initialise
from tools.errors import (
    DatabaseError,
    DatabaseFull,
    DatabaseInUse,
    DatabaseNotFound,
    ForeignDatabase,
    SchemaVersionError,
)

ROOT = Path(__file__).parents[1]
COUNTER = "CREATE TABLE IF NOT EXISTS counter (n INTEGER)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "for it" / "saesage.duckdb"


def run_python(source: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)


def test_what_is_committed_is_there_after_reopening(path: Path) -> None:
    with Database.open(path) as database, database.transaction() as connection:
        connection.execute(COUNTER)
        connection.execute("INSERT INTO counter VALUES (1), (2)")
    with Database.open(path, create=False) as database:
        assert database.rows("SELECT n FROM counter WHERE n > ?", [1]) == [(2,)]
        assert database.records("SELECT n, 'a' AS a FROM counter ORDER BY n")[0] == {
            "n": 1,
            "a": "a",
        }


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_rolls_back(error: type[BaseException]) -> None:
    with Database.open(":memory:") as database:
        database.rows(COUNTER)

        def fail() -> None:
            with database.transaction() as connection:
                connection.execute("INSERT INTO counter VALUES (1)")
                assert database.rows("SELECT n FROM counter") == [(1,)]
                raise error

        with pytest.raises(error):
            fail()
        assert database.rows("SELECT n FROM counter") == []


def test_a_mistaken_statement_rolls_back_and_keeps_its_own_error() -> None:
    with Database.open(":memory:") as database:
        with pytest.raises(duckdb.CatalogException), database.transaction() as connection:
            connection.execute("CREATE TABLE a AS SELECT 1; SELECT * FROM nowhere")
        database.rows("CREATE TABLE a (n INTEGER)")


def test_transactions_do_not_nest() -> None:
    with Database.open(":memory:") as database:
        with database.transaction() as connection:
            connection.execute(COUNTER)
            with pytest.raises(DatabaseError, match="use the connection"), database.transaction():
                pass
            connection.execute("INSERT INTO counter VALUES (1)")
        assert database.rows("SELECT n FROM counter") == [(1,)]


def test_threads_take_turns_even_with_a_database_each(path: Path) -> None:
    with Database.open(path) as first, Database.open(path.parent / "." / path.name) as second:
        first.rows("CREATE TABLE counter AS SELECT 0 AS n")

        def increment(turn: int) -> None:
            with (first, second)[turn % 2].transaction() as connection:
                connection.execute("UPDATE counter SET n = n + 1")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(increment, range(80)))
        assert second.rows("SELECT n FROM counter") == [(80,)]


def test_a_second_process_is_told_in_one_sentence_who_holds_the_file(path: Path) -> None:
    source = """if True:
        import sys
        from tools.database import Database
        from tools.errors import DatabaseInUse
        try:
            Database.open(sys.argv[1])
        except DatabaseInUse as error:
            print(error)
    """
    with Database.open(path):
        told = run_python(source, path)
    assert told.stderr == ""
    assert told.stdout.count("\n") == 1
    assert told.stdout.startswith(f"{path} is in use by process {os.getpid()} (")
    assert "python" in told.stdout
    assert told.stdout.endswith("); wait until it ends or stop it, then try again.\n")


def test_the_same_file_with_other_settings_in_this_process(path: Path) -> None:
    with Database.open(path), pytest.raises(duckdb.ConnectionException):
        duckdb.connect(str(path))
    with duckdb.connect(str(path)), pytest.raises(DatabaseInUse, match="in this process"):
        Database.open(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFound, match="no database at"):
        Database.open(tmp_path / "none.duckdb", create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a database", b"text " * 5000])
def test_a_file_of_another_kind_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ForeignDatabase, match="not a DuckDB file"):
        Database.open(path)
    assert path.read_bytes() == content


def test_a_sqlite_file_is_foreign_and_downloads_nothing(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "lite.db") as connection:
        connection.execute("CREATE TABLE a (n INTEGER)")
    connection.close()
    with pytest.raises(ForeignDatabase, match="not a DuckDB file"):
        Database.open(tmp_path / "lite.db")


def test_a_directory_and_a_path_below_a_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="Is a directory"):
        Database.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseError, match="Check the path"):
        Database.open(tmp_path / "file" / "saesage.duckdb")


def test_initialise_stamps_once_and_adds_missing_tables(path: Path) -> None:
    for _ in range(2):
        with Database.open(path) as database:
            initialise(database, [COUNTER])
            assert database.rows("SELECT version FROM saesage_schema") == [(SCHEMA_VERSION,)]
            assert database.rows("SELECT count(*) FROM counter") == [(0,)]


def test_initialise_makes_all_tables_or_none() -> None:
    with Database.open(":memory:") as database:
        with pytest.raises(duckdb.ParserException):
            initialise(database, [COUNTER, "CREATE TABEL b"])
        assert database.rows("SELECT * FROM information_schema.tables") == []


def test_another_schema_version(path: Path) -> None:
    with Database.open(path) as database:
        initialise(database, [])
        database.rows("UPDATE saesage_schema SET version = 99")
        with pytest.raises(SchemaVersionError, match=f"version 99, .* needs {SCHEMA_VERSION}: use"):
            initialise(database, [COUNTER])
        assert database.rows("SELECT * FROM duckdb_tables() WHERE table_name = 'counter'") == []


def test_somebody_elses_duckdb_file() -> None:
    with Database.open(":memory:") as database:
        database.rows("CREATE TABLE sales (n INTEGER)")
        with pytest.raises(ForeignDatabase, match="tables that are not saesage's"):
            initialise(database, [COUNTER])


def test_a_full_disk_keeps_what_was_committed(path: Path) -> None:
    source = """if True:
        import os, resource, sys
        from tools.database import Database
        from tools.errors import DatabaseFull
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
        with Database.open(sys.argv[1]) as database:
            database.rows("CREATE TABLE a (n INTEGER, noise BLOB)")
            for n in range(100):
                try:
                    database.rows("INSERT INTO a VALUES (?, ?)", [n, os.urandom(50_000)])
                except DatabaseFull as error:
                    print(n, error, sep="|")
                    break
    """
    count, told = run_python(source, path).stdout.strip().split("|")
    assert told == (
        f"No space left for {path}; what was committed is kept. "
        f"Free space, then `saesage resume {path}`."
    )
    assert DatabaseFull.exit_code == 1
    with Database.open(path) as database:
        assert database.rows("SELECT count(*) FROM a") == [(int(count),)]


def test_duckdb_1_5_can_read_the_file(path: Path) -> None:
    with Database.open(path) as database:
        initialise(database, [])
        tags = database.rows("SELECT tags FROM duckdb_databases() WHERE NOT internal")
    assert tags == [({"storage_version": "v1.5.0+"},)]


def test_close_is_idempotent_and_final(path: Path) -> None:
    database = Database.open(path)
    database.close()
    database.close()
    with pytest.raises(DatabaseError, match="was closed"):
        database.rows("SELECT 1")


def test_an_open_database_leaves_the_interpreter_quietly(path: Path) -> None:
    source = """if True:
        import sys
        from tools.database import Database
        database = Database.open(sys.argv[1])
        database.rows("CREATE TABLE a (n INTEGER)")
        assert "torch" not in sys.modules
    """
    ended = run_python(source, path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert not path.with_name(path.name + ".wal").exists()
