"""One line to the subject for all features in flight: what they want measured is run together."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np

from tools.activations import Subject, SubjectInfo, TextActivations, Tokenization, lanes_of
from tools.scheduling.measured_texts import MeasuredTexts
from tools.scheduling.shapes import FIXED_COLUMNS, Shape, Shapes

CROWD = 3
"""Requests in line that tell of more to come."""

PAUSE_SECONDS = 0.002
"""How long an idle subject waits for more in a crowd."""


class Measuring(Tokenization, Protocol):
    """The part of a Subject that experiments need."""

    def activations(self, texts: Sequence[str], features: Sequence[int]) -> list[TextActivations]:
        """See `Subject.activations`."""
        ...


@dataclass(slots=True, eq=False)
class _Request:
    """What one caller wants; `told` is set when it is done."""

    features: tuple[int, ...]
    left: set[str]
    """Texts that are not measured yet."""
    found: dict[str, TextActivations] = field(default_factory=lambda: {})
    error: BaseException | None = None
    told: threading.Event = field(default_factory=threading.Event)

    @property
    def done(self) -> bool:
        return not self.left or self.error is not None

    def put(self, result: TextActivations) -> None:
        self.found[result.text] = result
        self.left.discard(result.text)
        if self.done:
            self.told.set()

    def fail(self, error: BaseException) -> None:
        self.error = error
        self.told.set()


class _Job(NamedTuple):
    """One text of one request."""

    number: int
    """In order of arrival."""
    request: _Request
    text: str
    n_tokens: int

    @property
    def is_open(self) -> bool:
        return not self.request.done and self.text in self.request.left


class Scheduler:
    """Measures texts for many threads at a time, in batches across their features.

    A text's activations are the same, bit by bit, whoever asks at the same time: see `Shapes`. They
    differ from those of another way to batch by float rounding, about 1e-6 of the feature's scale.
    The passes run in the subject's lanes, each with the oldest text in line; as long as there are
    texts, no lane rests.
    """

    def __init__(self, subject: Subject, measured: MeasuredTexts) -> None:
        """Measure with `subject`, and only what `measured` does not have."""
        self._subject = subject
        self._measured = measured
        self._fingerprint = subject.info.fingerprint
        self._shapes = Shapes(subject)
        self._jobs: dict[int, deque[_Job]] = {}
        """By rung, in order of arrival."""
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self.lanes = lanes_of(subject)
        """Where the passes run; what else is submitted there has its turn between two of them."""
        self._n_busy = 0
        self._crowded = False

    def close(self) -> None:
        """End the lanes; nobody may be waiting any more."""
        self.lanes.shutdown(cancel_futures=True)

    @property
    def info(self) -> SubjectInfo:
        """What there is to know of the subject."""
        return self._subject.info

    @property
    def window_size(self) -> int:
        """Longest text in tokens."""
        return self._subject.window_size

    def tokenize(self, text: str) -> list[int]:
        """See `Tokenization.tokenize`."""
        return self._subject.tokenize(text)

    def surfaces(self, token_ids: Sequence[int]) -> list[str]:
        """See `Tokenization.surfaces`."""
        return self._subject.surfaces(token_ids)

    def activations(self, texts: Sequence[str], features: Sequence[int]) -> list[TextActivations]:
        """Measure texts, together with whatever others want measured.

        Raises:
            SubjectError: as `Subject.activations` does, for these texts and features alone.
            DatabaseError: the table of measured texts cannot be used.
        """
        wanted = tuple(features)
        ids = {text: self._subject.tokenize(text) for text in dict.fromkeys(texts)}
        found = {text: self._stored(text, ids[text], wanted) for text in ids}
        missing = {text: len(ids[text]) for text, known in found.items() if known is None}
        for text, n_tokens in missing.items():
            if not wanted or not 0 < n_tokens <= self._subject.window_size:
                # No batch would take it: the subject says what is wrong.
                found[text] = self._subject.activations([text], wanted)[0]
        request = _Request(wanted, {text for text in missing if found[text] is None})
        if request.left:
            self._wait(request, missing)
            self._keep(request, ids)
        return [found[text] or request.found[text] for text in texts]

    def _stored(
        self, text: str, ids: Sequence[int], features: Sequence[int]
    ) -> TextActivations | None:
        columns = [self._measured.find(self._fingerprint, feature, text) for feature in features]
        known = [column for column in columns if column is not None]
        if len(known) < len(columns) or not known:
            return None
        surfaces = tuple(self._subject.surfaces(ids))
        return TextActivations(text, tuple(ids), surfaces, np.stack(known, axis=1))

    def _keep(self, request: _Request, ids: dict[str, list[int]]) -> None:
        for text, found in request.found.items():
            # Of a text with tokens left out, the tokens could not be told from the text alone.
            if list(found.token_ids) == ids[text]:
                for feature, column in zip(request.features, found.activations.T, strict=True):
                    self._measured.keep(self._fingerprint, feature, text, column)

    def _wait(self, request: _Request, lengths: Mapping[str, int]) -> None:
        with self._lock:
            for text, n_tokens in lengths.items():
                if text in request.left:
                    job = _Job(next(self._numbers), request, text, n_tokens)
                    self._jobs.setdefault(self._shapes.rung(n_tokens), deque()).append(job)
            n_jobs = sum(map(len, self._jobs.values()))
            for _ in range(min(n_jobs, self.lanes.number - self._n_busy)):
                self.lanes.submit(self._run_line)
                self._n_busy += 1
        try:
            request.told.wait()
        finally:
            # Whoever is interrupted wants nothing any more.
            request.left.clear()
        if request.error is not None:
            raise request.error

    def _run_line(self) -> None:
        """What a lane begins with: it may wait a moment for more."""
        if self._crowded:
            time.sleep(PAUSE_SECONDS)
        self._run_batch()

    def _run_batch(self) -> None:
        """What a lane does again and again until nothing is in line."""
        while (oldest := self._peek()) is not None:
            try:
                shape = self._shapes.of(oldest.n_tokens)
            except BaseException as error:  # noqa: BLE001  (Whatever it is, the asking thread raises it.)
                oldest.request.fail(error)
            else:
                self._settle(self._take(shape), shape)
            # Anew each time, so that what else is submitted has its turn; when the program ends
            # nothing can be submitted any more, and whoever waits must be served all the same.
            with suppress(RuntimeError):
                self.lanes.submit(self._run_batch)
                return

    def _peek(self) -> _Job | None:
        """The first that came of those still wanted; drops what is done with before it."""
        with self._lock:
            for rung, jobs in list(self._jobs.items()):
                while jobs and not jobs[0].is_open:
                    jobs.popleft()
                if not jobs:
                    del self._jobs[rung]
            self._crowded = len({id(jobs[0].request) for jobs in self._jobs.values()}) >= CROWD
            oldest = min((jobs[0] for jobs in self._jobs.values()), default=None)
            if oldest is None:
                self._n_busy -= 1
            return oldest

    def _take(self, shape: Shape) -> list[_Job]:
        """Out of the line, what goes into one pass; none if another lane was quicker."""
        with self._lock:
            rung = self._shapes.rung(shape.longest)
            jobs = self._jobs.get(rung, deque())
            taken = _fitting([j for j in jobs if j.is_open and shape.takes(j.n_tokens)], shape)
            others = {job.number for job in taken}
            if jobs:
                self._jobs[rung] = deque(job for job in jobs if job.number not in others)
        return taken

    def _settle(self, jobs: Sequence[_Job], shape: Shape) -> None:
        """Measure the jobs in one pass, or one by one if that fails: a bad text fails alone."""
        if not jobs:
            return
        failure: BaseException | None = None
        try:
            found = self._measure(jobs, shape)
        except BaseException as error:  # noqa: BLE001  (Whatever it is, the asking thread raises it.)
            failure, found = error, []
        if failure is not None and len(jobs) == 1:
            jobs[0].request.fail(failure)
        elif failure is not None:
            for job in jobs:
                if job.is_open:
                    self._settle([job], shape)
        for job, result in zip(jobs, found, strict=False):
            job.request.put(result)

    def _measure(self, jobs: Sequence[_Job], shape: Shape) -> list[TextActivations]:
        """One pass; to each job its text, with the columns that it wants."""
        texts = list(dict.fromkeys(job.text for job in jobs))
        features = sorted({feature for job in jobs for feature in job.request.features})
        rows = shape.rows(texts)
        run = self._subject.activations(rows, shape.columns(features))
        by_text = dict(zip(texts, run, strict=False))
        columns = {feature: column for column, feature in enumerate(features)}
        return [
            replace(
                by_text[job.text],
                activations=by_text[job.text].activations[
                    :, [columns[feature] for feature in job.request.features]
                ],
            )
            for job in jobs
        ]


def _fitting(jobs: Sequence[_Job], shape: Shape) -> list[_Job]:
    """The first of jobs of one shape, and as many of the others as go into a pass with it."""
    taken: list[_Job] = []
    texts: set[str] = set()
    features: set[int] = set()
    for job in jobs:
        is_full = job.text not in texts and len(texts) == shape.most_texts
        too_wide = shape.fixed and len(features.union(job.request.features)) > FIXED_COLUMNS
        if taken and (is_full or too_wide):
            continue
        taken.append(job)
        texts.add(job.text)
        features.update(job.request.features)
    return taken
