"""Frozen records of what an overview shows: a run, and its threads in a line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ScoreCell:
    """One score with its 95 % bootstrap interval."""

    metric: str
    judge: str
    explainer: str
    value: float | None
    """None where it could not be had, for `reason`."""
    reason: str
    low: float | None
    high: float | None
    n: int
    """What it rests on: texts or tokens."""
    floor: float | None
    """What it counts as without a value, if the explanation is why there is none."""

    @property
    def counted(self) -> float | None:
        """What it counts as beside other explainers' scores, as in `saesage compare`."""
        return self.floor if self.value is None else self.value


@dataclass(frozen=True, slots=True)
class Spending:
    """What language models were asked for; None where a server did not say."""

    calls: int
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    """US dollars."""


@dataclass(frozen=True, slots=True)
class ThreadSummary:
    """One feature, or one fork of it: a row of the overview."""

    thread: str
    anchor: str
    """What links to it name: `f17`, and `f17-NAME` for a fork."""
    feature: int
    fork: str | None
    """The fork's name; None for the original."""
    status: str
    words: str
    """The explanation, or what is known in its place."""
    confidence: float | None
    n_experiments: int
    n_refuted: int
    """Hypotheses refuted."""
    density: float | None
    """Share of the corpus' tokens on which it fires; None before it was measured."""
    seconds: float | None
    spending: Spending
    scores: Mapping[str, Mapping[str, ScoreCell]]
    """By metric, then by explainer; of one judge."""


@dataclass(frozen=True, slots=True)
class Refuted:
    """A hypothesis that measurements spoke against."""

    anchor: str
    feature: int
    hypothesis: str
    statement: str
    n_against: int
    n_tests: int


@dataclass(frozen=True, slots=True)
class KindOutcome:
    """How the predictions of one kind of experiment came out."""

    kind: str
    held: int
    failed: int
    unclear: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the overview says of the run as a whole."""

    name: str
    started: datetime
    version: str
    model: str
    sae: str
    corpus: str
    policies: str
    seed: int
    rounds: int
    experiments: int
    """The most that a feature may take, as `rounds`."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A run, with every feature asked for and its forks."""

    run: RunFacts
    threads: tuple[ThreadSummary, ...]
    metrics: tuple[str, ...]
    """Those that have scores, in the order of the table; empty before an evaluation."""
    judge: str | None
    """Whose scores these are."""
    most_refuted: tuple[Refuted, ...]
    kinds: tuple[KindOutcome, ...]
    database: str
    """The file, for the commands that the page names."""
