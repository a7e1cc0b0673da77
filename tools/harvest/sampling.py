"""Which tokens are measured: windows of documents, divided once into three splits.

Documents are put into a seeded order and dealt to the splits in turn. Each gives consecutive
windows, no more than a share of the token budget at first, so that many documents are heard;
what is left of the budget is filled from the rest of their text.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from tools.activations import Subject
from tools.corpus import CorpusSpec, Document, read_documents
from tools.errors import ConfigError, CorpusTooSmall
from tools.exemplars import Split

SPLIT_CYCLE: tuple[Split, ...] = ("propose", "test", "propose", "evaluate")
"""How documents are dealt to the splits; the token budget is divided likewise."""

DOCUMENTS_PER_BUDGET = 100
"""One document gives at most this part of the budget before the others had their turn."""

SHORTEST_TAIL = 8
"""A document's last window is dropped when shorter than this, unless it is the only one."""

_PASSAGE_CHARACTERS = 8_192
_CHARACTERS_PER_TOKEN_KEPT = 32
_CHARACTERS_PER_TOKEN_LEAST = 4
# Cutting before a word, or before the word that starts a line, leaves BPE tokens as they were.
_PLACE_TO_CUT = re.compile(r"(?<=\n)(?=\S)|(?<=\S)(?=[ \n])")


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive tokens of one document."""

    document: str
    split: Split
    position: int
    """Character offset of the first token in the document's text (of the passage it was cut
    from, where a tokenizer's surfaces do not add up to the text)."""
    token_ids: tuple[int, ...]
    """Token ids without special tokens."""


@dataclass(frozen=True, slots=True)
class CorpusSample:
    """The windows to measure, document by document in the seeded order."""

    windows: tuple[Window, ...]
    window_size: int
    """Longest window in tokens."""
    seed: int
    """Also seeds the choice of exemplars among them."""
    fingerprint: str
    """Hash over the windows' tokens and splits."""

    @property
    def n_tokens(self) -> int:
        """Tokens of all windows."""
        return sum(len(window.token_ids) for window in self.windows)

    def documents(self, split: Split) -> frozenset[str]:
        """Ids of the documents that belong to `split`."""
        return frozenset(window.document for window in self.windows if window.split == split)


def window_length(subject: Subject, spec: CorpusSpec) -> int:
    """Longest window in tokens: the subject's limit, or what the corpus settings ask for.

    Raises:
        ConfigError: the settings ask for more than the SAE's context, or for no token at all.
    """
    context, wanted = subject.info.context_size, spec.context_size
    if wanted is None:
        return subject.window_size
    n_special = context - subject.window_size
    if not n_special < wanted <= context:
        raise ConfigError(
            f"corpus.context_size is {wanted}; the SAE's context has {context} tokens, "
            f"{n_special} of them special: give {n_special + 1} to {context}, or null."
        )
    return wanted - n_special


def sample_corpus(subject: Subject, spec: CorpusSpec, seed: int) -> CorpusSample:
    """Read a corpus and cut the windows to be measured.

    Raises:
        CorpusTooSmall: fewer than 4 documents with text: the splits cannot all have one.
        CorpusError: the corpus cannot be read.
    """
    documents = read_documents(spec)
    if not spec.is_stream:
        documents = _seeded_order(documents, seed, spec.max_tokens * _CHARACTERS_PER_TOKEN_KEPT)
    sampler = _Sampler(subject, spec, seed)
    sampler.first_round(documents)
    sampler.further_rounds()
    if len(sampler.sources) < len(SPLIT_CYCLE):
        raise CorpusTooSmall(
            f"Corpus '{spec.source}' holds {len(sampler.sources)} document(s) with text, distinct "
            f"ones counted; at least {len(SPLIT_CYCLE)} are needed, so that hypotheses, tests and "
            "scores rest on different documents. Add documents; in a .txt file they are separated "
            "by blank lines."
        )
    return sampler.sample()


def _seeded_order(documents: Iterable[Document], seed: int, characters: int) -> list[Document]:
    """Order documents by a seeded hash of their ids, keeping only the first `characters`.

    What lies beyond can never be reached by the token budget, so that a corpus larger than
    memory can be read.
    """
    # A heap of negated keys has the last document on top, ready to be dropped.
    kept: list[tuple[int, int, Document]] = []
    total, most = 0, max(1, characters // DOCUMENTS_PER_BUDGET)
    for index, document in enumerate(documents):
        heapq.heappush(kept, (-_seeded_number(seed, document.id), -index, document))
        total += min(len(document.text), most)
        while total - (last := min(len(kept[0][2].text), most)) > characters:
            heapq.heappop(kept)
            total -= last
    return [document for _, _, document in sorted(kept, key=lambda item: item[:2], reverse=True)]


def _seeded_number(seed: int, name: str) -> int:
    digest = blake2b(f"{seed}:{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


class _Source:
    """One document that still has text to give."""

    def __init__(self, document: str, split: Split, spans: Iterator[_Span]) -> None:
        self.document = document
        self.split: Split = split
        self.windows: list[Window] = []
        self._spans = spans

    def give(self, wanted: int, most: int, seen: set[bytes]) -> int:
        """Cut windows until they hold `wanted` tokens, `most` at most, or the text ends."""
        given = 0
        while given < min(wanted, most):
            span = next(self._spans, None)
            if span is None:
                break
            digest = blake2b(np.asarray(span.token_ids, np.int64).tobytes(), digest_size=16)
            # Licence headers and the like recur in many documents: one split alone may hold them.
            if digest.digest() not in seen:
                seen.add(digest.digest())
                ids = tuple(span.token_ids[: most - given])
                self.windows.append(Window(self.document, self.split, span.position, ids))
                given += len(ids)
        return given


class _Sampler:
    """Fills each split's share of the token budget, document by document."""

    def __init__(self, subject: Subject, spec: CorpusSpec, seed: int) -> None:
        self.sources: list[_Source] = []
        self._subject = subject
        self._seed = seed
        self._window_size = window_length(subject, spec)
        self._share = max(self._window_size, spec.max_tokens // DOCUMENTS_PER_BUDGET)
        self._left = _budget(spec.max_tokens)
        self._seen: set[bytes] = set()

    def first_round(self, documents: Iterable[Document]) -> None:
        """Deal documents to the splits until each split's budget is full."""
        for document in documents:
            split = SPLIT_CYCLE[len(self.sources) % len(SPLIT_CYCLE)]
            source = _Source(document.id, split, self._spans(document))
            if self._left[split] == 0 or self._take(source):
                self.sources.append(source)
            if not any(self._left.values()):
                break

    def further_rounds(self) -> None:
        """Fill what is left of the budgets from the rest of the documents' text."""
        open_sources = self.sources
        while open_sources:
            open_sources = [source for source in open_sources if self._take(source)]

    def sample(self) -> CorpusSample:
        """The windows cut so far, by document."""
        windows = tuple(window for source in self.sources for window in source.windows)
        return CorpusSample(windows, self._window_size, self._seed, _fingerprint(windows))

    def _take(self, source: _Source) -> int:
        taken = source.give(self._share, self._left[source.split], self._seen)
        left = self._left[source.split] - taken
        # A window shorter than a tail would not be worth having.
        self._left[source.split] = left if left >= SHORTEST_TAIL else 0
        return taken

    def _spans(self, document: Document) -> Iterator[_Span]:
        text = document.text
        start = 0
        if len(text) > self._share * _CHARACTERS_PER_TOKEN_LEAST:
            wanted = _seeded_number(self._seed, f"start:{document.id}") % len(text)
            start = _cut_after(text, wanted, len(text)) % len(text)
        for begin, end in ((start, len(text)), (0, start)):
            yield from _cut(self._subject, text, begin, end, self._window_size)


def _budget(max_tokens: int) -> dict[Split, int]:
    part = max_tokens // len(SPLIT_CYCLE)
    return {"propose": max_tokens - 2 * part, "test": part, "evaluate": part}


@dataclass(frozen=True, slots=True)
class _Span:
    position: int
    token_ids: Sequence[int]


def _cut(subject: Subject, text: str, begin: int, end: int, size: int) -> Iterator[_Span]:
    """Cut text[begin:end] into windows of `size` tokens, tokenising no further than asked for."""
    ids: list[int] = []
    places: list[int] = []
    n_cut = 0
    while begin < end:
        stop = _cut_after(text, begin + _PASSAGE_CHARACTERS, end)
        passage_ids = subject.tokenize(text[begin:stop])
        ids += passage_ids
        places += _places(subject, text, begin, stop, passage_ids)
        begin = stop
        while len(ids) >= size:
            yield _Span(places[0], ids[:size])
            n_cut += 1
            del ids[:size], places[:size]
    if ids and (n_cut == 0 or len(ids) >= SHORTEST_TAIL):
        yield _Span(places[0], ids)


def _places(
    subject: Subject, text: str, begin: int, stop: int, token_ids: Sequence[int]
) -> list[int]:
    """Character offset of each token, or of the passage where its surfaces do not add up."""
    lengths = [len(surface) for surface in subject.surfaces(token_ids)]
    if sum(lengths) != stop - begin:
        return [begin] * len(lengths)
    return [begin + int(offset) for offset in np.cumsum([0, *lengths[:-1]])]


def _cut_after(text: str, wanted: int, end: int) -> int:
    """The first place at or after `wanted` where text may be cut, at most `end`."""
    if wanted >= end:
        return end
    place = _PLACE_TO_CUT.search(text, wanted, min(end, wanted + _PASSAGE_CHARACTERS))
    return place.start() if place else min(end, wanted + _PASSAGE_CHARACTERS)


def _fingerprint(windows: Iterable[Window]) -> str:
    digest = blake2b(digest_size=16)
    for window in windows:
        digest.update(f"{window.split}:{len(window.token_ids)}:".encode())
        digest.update(np.asarray(window.token_ids, np.int64).tobytes())
    return digest.hexdigest()
