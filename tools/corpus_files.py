"""Corpus files and hub data sets: text, tables and streams as (name, text) pairs."""

from __future__ import annotations

import codecs
import glob
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import duckdb

from tools.errors import CorpusEncodingError, CorpusError, CorpusNotFound

NamedText = tuple[str, str]
"""A document's id and its text."""

_TABLE_READERS = {
    ".jsonl": "read_json(?, format='newline_delimited')",
    ".ndjson": "read_json(?, format='newline_delimited')",
    ".csv": "read_csv(?, header=true, delim=',', quote='\"')",
    ".tsv": "read_csv(?, header=true, delim='\t', quote='\"')",
    ".parquet": "read_parquet(?)",
}
_WHOLE_FILE_TEXT = frozenset({".py", ".md", ".rst"})
SUPPORTED_SUFFIXES = frozenset({".txt", *_TABLE_READERS, *_WHOLE_FILE_TEXT})
"""What is read from a directory; a file named outright may have any other ending."""

_WIDE_GAP = re.compile(r"\n(?:[ \t]*\n){2,}")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_ROWS_AT_ONCE = 1_000
_BYTES_AT_ONCE = 1 << 20


def corpus_files(source: str) -> list[tuple[str, Path]]:
    """Find the files of a path, directory or glob: sorted (name, path) pairs.

    A name is the path below the directory, or below the part of a glob without wildcards.

    Raises:
        CorpusNotFound: there are none.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return [(path.name, path)]
    if path.is_dir():
        root, matches = path, sorted(path.rglob("*"))
        found = [file for file in matches if file.suffix.lower() in SUPPORTED_SUFFIXES]
    else:
        root = _glob_root(path)
        found = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
    files = [(file.relative_to(root).as_posix(), file) for file in found if file.is_file()]
    if not files:
        kinds = ", ".join(sorted(SUPPORTED_SUFFIXES))
        raise CorpusNotFound(
            f"No corpus file at '{source}' (looked in {Path.cwd()}). Give python-stdlib, "
            f"or a file, glob or directory that holds one of: {kinds}."
        )
    return files


def _glob_root(pattern: Path) -> Path:
    fixed: list[str] = []
    for part in pattern.parent.parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return Path(*fixed)


def file_documents(name: str, path: Path, column: str) -> Iterator[NamedText]:
    """Read one file: a table's text column row by row, a .txt by gaps, any other whole.

    Raises:
        CorpusEncodingError: the file is not UTF-8.
        CorpusError: it cannot be read, or has no such column.
    """
    suffix = path.suffix.lower()
    if suffix in _TABLE_READERS:
        for row, text in enumerate(_table_texts(path, _TABLE_READERS[suffix], column), start=1):
            yield f"{name}#{row}", text
    elif suffix == ".txt":
        for number, text in enumerate(_split_text(_read_text(path)), start=1):
            yield f"{name}#{number}", text
    else:
        yield name, _read_text(path)


def _split_text(text: str) -> list[str]:
    gap = _WIDE_GAP if _WIDE_GAP.search(text.strip()) else _BLANK_LINES
    return [part for part in gap.split(text) if part.strip()]


def _read_text(path: Path) -> str:
    text = "".join(_decoded(path))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(path: Path) -> Iterator[str]:
    """Decode a file piece by piece, so that an error can be told by its place in the file."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    consumed = held_back = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_BYTES_AT_ONCE):
                held_back = len(decoder.getstate()[0])
                yield decoder.decode(chunk)
                consumed += len(chunk)
            held_back = len(decoder.getstate()[0])
            yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        offset = consumed - held_back + error.start
        raise CorpusEncodingError(
            f"{path} is not UTF-8: byte {offset} cannot be decoded ({error.reason}). "
            f"Convert it, for instance: iconv -f LATIN1 -t UTF-8 '{path}' > converted{path.suffix}"
        ) from error
    except OSError as error:
        raise CorpusError(
            f"{path} cannot be read: {error.strerror}. Check that it is a file you may read."
        ) from error


def _table_texts(path: Path, reader: str, column: str) -> Iterator[str]:
    """Read the text column of a table through DuckDB, skipping missing values."""
    if path.suffix.lower() != ".parquet":
        # DuckDB's own message does not tell the place; reading ahead is cheap beside the model.
        for _ in _decoded(path):
            pass
    # DuckDB takes a path for a glob, so that `notes[1].csv` would not be found.
    argument = [glob.escape(str(path))]
    try:
        with duckdb.connect() as connection:
            described = connection.execute(f"DESCRIBE SELECT * FROM {reader}", argument)
            _require_column(column, [str(row[0]) for row in described.fetchall()], str(path))
            quoted = '"' + column.replace('"', '""') + '"'
            query = f"SELECT CAST({quoted} AS VARCHAR) FROM {reader}"
            rows = connection.execute(query, argument)
            while batch := cast("list[tuple[str | None]]", rows.fetchmany(_ROWS_AT_ONCE)):
                yield from (text or "" for (text,) in batch)
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise CorpusError(
            f"{path} cannot be read as {path.suffix}: {reason} Repair or remove the file."
        ) from error


def _require_column(column: str, columns: Iterable[str], where: str) -> None:
    names = list(columns)
    if column not in names:
        raise CorpusError(
            f"{where} has no column '{column}'; it has: {', '.join(names)}. "
            "Name the one that holds the text in corpus.column (corpus.source.column for a "
            "data set)."
        )


def hub_documents(dataset: str, config: str | None, split: str, column: str) -> Iterator[NamedText]:
    """Stream the text column of a Hugging Face data set.

    Raises:
        CorpusNotFound: the data set or split does not exist, or the hub cannot be reached.
        CorpusError: it has no such column.
    """
    rows = enumerate(_hub_rows(dataset, config, split), start=1)
    for number, row in rows:
        if column not in row:
            _require_column(column, row, f"Data set {dataset}")
        text = row[column]
        if isinstance(text, str):
            yield f"{dataset}/{split}#{number}", text


def _hub_rows(dataset: str, config: str | None, split: str) -> Iterator[dict[str, object]]:
    # `datasets` takes seconds to import and is needed by this source alone.
    load = cast("Callable[..., Iterable[dict[str, object]]]", _datasets().load_dataset)
    try:
        yield from load(dataset, name=config, split=split, streaming=True)
    # Its own errors, those of the hub and those of the HTTP client all derive from these two.
    except (OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CorpusNotFound(
            f"Data set '{dataset}' (split '{split}') cannot be streamed: {reason} Check its "
            "name, configuration and split, and that huggingface.co can be reached; offline, "
            "use corpus.source: python-stdlib or a local file."
        ) from error


def _datasets() -> Any:
    return import_module("datasets")
