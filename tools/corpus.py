"""Where text comes from: the standard library, files or a hub data set, read as documents."""

from __future__ import annotations

import sysconfig
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import cast

from tools.corpus_files import corpus_files, file_documents, hub_documents
from tools.errors import ConfigError

STDLIB_SOURCE = "python-stdlib"
"""Name of the corpus that every machine with Python holds."""

_STDLIB_SKIPPED = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idle_test", "idlelib", "_bundled"}
    | {"__pycache__"}
)


@dataclass(frozen=True, slots=True)
class Document:
    """One text with a name that stays the same from read to read."""

    id: str
    """Relative path, with `#n` for the n-th text of a file that holds several."""
    text: str


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """A data set of the Hugging Face hub (or a local copy of one), streamed."""

    dataset: str
    """Hub id or directory."""
    split: str = "train"
    column: str = "text"
    """The column that holds the text."""
    config: str | None = None
    """Name of the data set's configuration, where it has several."""


@dataclass(frozen=True, slots=True)
class CorpusSpec:
    """What to read and how much of it."""

    source: str | DatasetSource
    """`python-stdlib`, a file, a directory, a glob, or a hub data set."""
    max_tokens: int = 300_000
    """Tokens to measure, over all splits."""
    context_size: int | None = None
    """Longest window in tokens, special tokens aside; the subject's own limit where None."""
    column: str = "text"
    """The text column of .jsonl, .csv and .parquet files."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ConfigError(f"corpus.max_tokens is {self.max_tokens}; give a positive number.")
        if self.context_size is not None and self.context_size < 1:
            raise ConfigError(
                f"corpus.context_size is {self.context_size}; give a positive number or null."
            )
        if not isinstance(self.source, DatasetSource) and not self.source.strip():
            raise ConfigError("corpus.source is empty; give python-stdlib, a path or a glob.")

    @property
    def is_stream(self) -> bool:
        """Whether documents come one by one from a source that may have no end."""
        return isinstance(self.source, DatasetSource)


def read_documents(spec: CorpusSpec) -> Iterator[Document]:
    """Read the documents of a corpus in a fixed order, each text once, blank ones left out.

    Raises:
        CorpusNotFound: nothing matches the path, or the data set cannot be reached.
        CorpusEncodingError: a file is not UTF-8.
        CorpusError: a file cannot be read, or has no such column.
    """
    return _distinct(_source_documents(spec))


def _source_documents(spec: CorpusSpec) -> Iterable[Document]:
    if isinstance(spec.source, DatasetSource):
        source = spec.source
        texts = hub_documents(source.dataset, source.config, source.split, source.column)
    elif spec.source == STDLIB_SOURCE:
        return python_stdlib_documents()
    else:
        texts = (
            document
            for name, path in corpus_files(spec.source)
            for document in file_documents(name, path, spec.column)
        )
    return (Document(id=name, text=text) for name, text in texts)


def _distinct(documents: Iterable[Document]) -> Iterator[Document]:
    """Drop blank documents and repeated texts, which would leak from one split into another."""
    seen: set[bytes] = set()
    for document in documents:
        text = document.text.strip()
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if text and digest not in seen:
            seen.add(digest)
            yield document


def python_stdlib_documents() -> list[Document]:
    """Read the sources and language help of the running Python's standard library.

    Tests, bundled wheels and IDLE are left out. Ids are relative paths such as
    `json/decoder.py`, and `pydoc_data/topics:assert` for a help topic.
    """
    root = Path(sysconfig.get_path("stdlib"))
    return [*_stdlib_sources(root), *_stdlib_topics()]


def _stdlib_sources(root: Path) -> Iterator[Document]:
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if _is_stdlib_text(relative):
            # Not every source is UTF-8: tokenize honours the encoding it declares.
            with tokenize.open(path) as file:
                text = file.read()
            if text.strip():
                yield Document(id=relative.as_posix(), text=text)


def _is_stdlib_text(relative: Path) -> bool:
    """Tell sources from tests, build settings, and the file that repeats the help topics."""
    is_generated = relative.name.startswith("_sysconfigdata") or (
        relative.as_posix() == "pydoc_data/topics.py"
    )
    return not is_generated and _STDLIB_SKIPPED.isdisjoint(relative.parts)


def _stdlib_topics() -> Iterator[Document]:
    try:
        module = import_module("pydoc_data.topics")
    except ImportError:  # some distributions package the help topics apart
        return
    topics = cast("dict[str, str]", module.topics)
    for topic, text in sorted(topics.items()):
        yield Document(id=f"pydoc_data/topics:{topic}", text=text)
