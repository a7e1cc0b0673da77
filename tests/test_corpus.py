"""Documents are read as people expect, each once; bad input says what to do; splits stay apart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from tests.fakes import FakeSubject, fake_corpus
from tools.corpus import (
    CorpusSpec,
    DatasetSource,
    Document,
    python_stdlib_documents,
    read_documents,
)
from tools.errors import (
    ConfigError,
    CorpusEncodingError,
    CorpusError,
    CorpusNotFound,
    CorpusTooSmall,
)
from tools.harvest.sampling import SHORTEST_TAIL, CorpusSample, sample_corpus


def read(source: Path | str, **options: str) -> dict[str, str]:
    documents = read_documents(CorpusSpec(str(source), **options))
    return {document.id: document.text for document in documents}


def write_documents(folder: Path, texts: list[str]) -> Path:
    path = folder / "corpus.txt"
    path.write_text("\n\n\n".join(texts), encoding="utf-8")
    return path


# Reading


def test_stdlib_holds_sources_and_help_topics_but_no_tests() -> None:
    documents = python_stdlib_documents()
    ids = [document.id for document in documents]
    assert ids == [document.id for document in python_stdlib_documents()]
    assert len(set(ids)) == len(ids) > 300
    assert {"json/decoder.py", "pydoc_data/topics:assert"} <= set(ids)
    parts = {part for name in ids for part in name.split("/")}
    assert parts.isdisjoint({"test", "tests", "site-packages", "idlelib", "__pycache__"})
    assert "pydoc_data/topics.py" not in ids


def test_text_is_split_at_wide_gaps_where_there_are_any(tmp_path: Path) -> None:
    (tmp_path / "wide.txt").write_text("one\n\nstill one\n\n\ntwo\n \n\t\n\nthree")
    (tmp_path / "narrow.txt").write_bytes(b"\xef\xbb\xbfone\r\nline\r\n\r\ntwo\n\n\n")
    assert read(tmp_path / "wide.txt") == {
        "wide.txt#1": "one\n\nstill one",
        "wide.txt#2": "two",
        "wide.txt#3": "three",
    }
    assert read(tmp_path / "narrow.txt") == {"narrow.txt#1": "one\nline", "narrow.txt#2": "two"}


def test_tables_are_read_through_duckdb(tmp_path: Path) -> None:
    (tmp_path / "a[1].jsonl").write_text(
        '{"text": "one"}\n{"text": null}\n{"text": "two", "b": 1}\n'
    )
    (tmp_path / "b.csv").write_text('id,text\n1,"three, with\na break"\n2,four\n')
    (tmp_path / "c.tsv").write_text("text\tid\nfive\t1\n")
    duckdb.sql("SELECT 'six' AS text").write_parquet(str(tmp_path / "d.parquet"))
    (tmp_path / "e.md").write_text("# seven\n\nwhole")
    (tmp_path / "ignored.bin").write_bytes(b"\xff")
    expected = {
        "a[1].jsonl#1": "one",
        "a[1].jsonl#3": "two",
        "b.csv#1": "three, with\na break",
        "b.csv#2": "four",
        "c.tsv#1": "five",
        "d.parquet#1": "six",
        "e.md": "# seven\n\nwhole",
    }
    assert read(tmp_path) == expected
    assert read(tmp_path / "*.[jctpm]*") == expected
    assert list(read(tmp_path / "a[1].jsonl")) == ["a[1].jsonl#1", "a[1].jsonl#3"]


def test_ids_keep_the_folders_of_a_glob_apart(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.py").write_text(f"# {folder}")
    assert list(read(tmp_path / "**" / "*.py")) == ["x/same.py", "y/same.py"]


def test_repeated_and_blank_documents_are_left_out(tmp_path: Path) -> None:
    path = write_documents(tmp_path, ["one", "two", "one ", " \t", "two"])
    assert [text.strip() for text in read(path).values()] == ["one", "two"]


def test_another_text_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('body "x",n\nhello,1\n')
    assert read(tmp_path / "a.csv", column='body "x"') == {"a.csv#1": "hello"}
    with pytest.raises(CorpusError, match=r"no column 'text'; it has: body \"x\", n"):
        read(tmp_path / "a.csv")


def test_hub_data_sets_are_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def load_dataset(path: str, **options: object) -> Iterator[dict[str, object]]:
        asked.append((path, options))
        yield from ({"content": f"text {number}"} for number in range(10**9))

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    documents = read_documents(CorpusSpec(DatasetSource("a/b", "train", "content")))
    assert next(documents) == Document("a/b/train#1", "text 0")
    assert asked == [("a/b", {"name": None, "split": "train", "streaming": True})]
    with pytest.raises(CorpusError, match="no column 'text'; it has: content"):
        next(read_documents(CorpusSpec(DatasetSource("a/b"))))
    spec = CorpusSpec(DatasetSource("a/b", column="content"), max_tokens=400)
    sample = sample_corpus(FakeSubject(), spec, seed=0)
    assert 400 - 3 * SHORTEST_TAIL < sample.n_tokens <= 400
    assert sample.windows[0].document == "a/b/train#1"


def test_unreachable_hub_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(path: str, **_: object) -> Iterator[dict[str, object]]:
        raise ConnectionError(f"Couldn't reach '{path}' on the Hub")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(CorpusNotFound, match="Couldn't reach 'a/b'.*offline, use"):
        list(read_documents(CorpusSpec(DatasetSource("a/b"))))


# Bad input


def test_missing_file_names_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CorpusNotFound, match=r"nothing\*.txt"):
        read(tmp_path / "nothing*.txt")
    with pytest.raises(CorpusNotFound, match="directory that holds"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.py"])
def test_bytes_that_are_not_utf8_are_told_by_place(tmp_path: Path, name: str) -> None:
    content = "text\né\n".encode() * 300_000 + "grün".encode("latin-1") + b"\n" * 9
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusEncodingError, match=rf"{name} is not UTF-8: byte 2400002.*iconv"):
        read(tmp_path / name)


def test_utf8_cut_off_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("abcé".encode()[:-1])
    with pytest.raises(CorpusEncodingError, match="byte 3"):
        read(tmp_path / "a.txt")


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.txt").write_text("text")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CorpusError, match="cannot be read: Permission denied"):
        read(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", '{"text": "one"}\n{"text": \n'), ("a.parquet", "not parquet")],
)
def test_broken_table(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(CorpusError, match=rf"{name} cannot be read as"):
        read(tmp_path / name)


@pytest.mark.parametrize("texts", [[], [" \n"], ["one", "two", "three"], ["one"] * 5])
def test_too_few_documents(tmp_path: Path, texts: list[str]) -> None:
    path = write_documents(tmp_path, texts)
    with pytest.raises(CorpusTooSmall, match="at least 4 are needed.*Add documents"):
        sample_corpus(FakeSubject(), CorpusSpec(str(path)), seed=0)


def test_contradictory_settings() -> None:
    for bad in ({"max_tokens": 0}, {"context_size": 0}, {"source": " "}):
        with pytest.raises(ConfigError, match="corpus"):
            CorpusSpec(**({"source": "a.txt"} | bad))


# Sampling


def sampled(path: Path, seed: int = 0, **options: int) -> CorpusSample:
    return sample_corpus(FakeSubject(), CorpusSpec(str(path), **options), seed)


def test_splits_share_neither_documents_nor_text(tmp_path: Path) -> None:
    path = write_documents(tmp_path, fake_corpus(40) + fake_corpus(20))
    texts = read(path)
    sample = sampled(path, max_tokens=10**6)
    splits = [sample.documents(split) for split in ("propose", "test", "evaluate")]
    assert [len(documents) for documents in splits] == [20, 10, 10]
    contents = [{texts[name].strip() for name in documents} for documents in splits]
    windows = [
        {window.token_ids for window in sample.windows if window.document in documents}
        for documents in splits
    ]
    for parts in (splits, contents, windows):
        assert sum(len(part) for part in parts) == len(frozenset().union(*parts))


def test_all_text_is_used_when_the_budget_allows(tmp_path: Path) -> None:
    path = write_documents(tmp_path, fake_corpus(8, n_sentences=400))
    subject = FakeSubject()
    sample = sampled(path, max_tokens=10**6)
    for name, text in read(path).items():
        windows = [window for window in sample.windows if window.document == name]
        windows.sort(key=lambda window: window.position)
        assert len(text) > 8_192  # several passages
        surfaces = ["".join(subject.surfaces(window.token_ids)) for window in windows]
        for window, surface in zip(windows, surfaces, strict=True):
            assert text.startswith(surface, window.position)
        assert len(text) - len("".join(surfaces)) < 2 * SHORTEST_TAIL * 10


def test_the_budget_is_kept_and_shared(tmp_path: Path) -> None:
    path = write_documents(tmp_path, fake_corpus(150, n_sentences=200))
    sample = sampled(path, max_tokens=20_000)
    counts = dict.fromkeys(("propose", "test", "evaluate"), 0)
    for window in sample.windows:
        counts[window.split] += len(window.token_ids)
    for split, budget in {"propose": 10_000, "test": 5_000, "evaluate": 5_000}.items():
        assert budget - SHORTEST_TAIL < counts[split] <= budget
    assert len({window.document for window in sample.windows}) >= 90
    assert max(len(window.token_ids) for window in sample.windows) == 32
    assert any(window.position > 0 for window in sample.windows)


def test_leftover_budget_goes_to_the_rest_of_the_documents(tmp_path: Path) -> None:
    path = write_documents(tmp_path, fake_corpus(4, n_sentences=2_000))
    n_tokens = sampled(path, max_tokens=40_000).n_tokens
    assert 40_000 - 3 * SHORTEST_TAIL < n_tokens <= 40_000


def test_sample_depends_on_the_seed_alone(tmp_path: Path) -> None:
    path = write_documents(tmp_path, fake_corpus(150, n_sentences=100))
    first, again = sampled(path, max_tokens=5_000), sampled(path, max_tokens=5_000)
    assert first == again
    other = sampled(path, seed=1, max_tokens=5_000)
    assert other.fingerprint != first.fingerprint
    assert sampled(path, max_tokens=5_000, context_size=8).window_size == 7  # and BOS


def test_documents_beyond_the_budget_are_dropped_while_reading(tmp_path: Path) -> None:
    path = write_documents(tmp_path, fake_corpus(400, n_sentences=40))
    small = sampled(path, max_tokens=1_000)
    large = sampled(path, max_tokens=10_000)
    first_of_large = list(dict.fromkeys(window.document for window in large.windows))
    first_of_small = list(dict.fromkeys(window.document for window in small.windows))
    assert first_of_small[:20] == first_of_large[:20]


def test_a_long_document_is_tokenised_only_where_it_is_read(tmp_path: Path) -> None:
    class Counting(FakeSubject):
        characters = 0

        def tokenize(self, text: str) -> list[int]:
            self.characters += len(text)
            return super().tokenize(text)

    texts = ["\n".join(f"{name} cat {n}" for n in range(100_000)) for name in "abcd"]
    path = write_documents(tmp_path, texts)
    subject = Counting()
    sample_corpus(subject, CorpusSpec(str(path), max_tokens=2_000), seed=0)
    assert subject.characters < 10 * 9_000
