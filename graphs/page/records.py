"""Frozen records of everything that the page of a feature shows."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from graphs.page.overview import ScoreCell, ThreadSummary
from tools.activations import LogitEffects

SILENT_TOKENS = 8
"""Tokens of a test's text that are shown before the first that fires."""


@dataclass(frozen=True, slots=True)
class WrittenText:
    """A text that a judge wrote from an explanation, and what it did."""

    wanted: str
    """`active` or `inactive`: what the explanation says of it."""
    text: str
    max_activation: float
    normalized: float
    """Over the feature's scale."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of text with a feature's activations."""

    tokens: tuple[str, ...]
    activations: tuple[float, ...]
    max_activation: float
    cut_before: bool
    """Whether the window goes on to the left of what is shown."""
    cut_after: bool


@dataclass(frozen=True, slots=True)
class ExemplarGroup:
    """Exemplars kept for one reason."""

    title: str
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Activations above zero on the corpus, in bins of equal width from 0 to `highest`."""

    highest: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Test:
    """An experiment's text with what was predicted of it and, once it ran, what was measured."""

    id: str
    observation: str | None
    """None before it ran; then the other measurements are empty, too."""
    kind: str
    purpose: str
    round: int
    predicted: str
    text: str
    tokens: tuple[str, ...]
    activations: tuple[float, ...]
    max_activation: float | None
    normalized: float | None
    outcome: str | None
    supports: bool | None

    @property
    def begin(self) -> int:
        """The first token that is shown: a long silent stretch before what fires tells little."""
        last = len(self.tokens) - 1
        firing = next((at for at, value in enumerate(self.activations) if value > 0), last)
        return max(0, firing - SILENT_TOKENS)


@dataclass(frozen=True, slots=True)
class HypothesisNode:
    """A hypothesis, its place in the tree and its tests."""

    id: str
    statement: str
    polarity: str
    status: str
    parent: str | None
    depth: int
    """0 for one that refines no other."""
    round: int
    """In which it was proposed."""
    decided: int | None
    """The round that gave it its status; None while it is pending."""
    note: str
    reason: str
    interpretation: str
    tests: tuple[Test, ...]

    @property
    def held(self) -> int:
        """Tests that came out as predicted."""
        return sum(test.supports is True for test in self.tests)

    @property
    def failed(self) -> int:
        """Tests that came out against the prediction."""
        return sum(test.supports is False for test in self.tests)


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """A claim of the explanation and the ids of the observations that it rests on."""

    text: str
    shows: str
    observations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """What happened in one round, in words."""

    number: int
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a request to a language model."""

    role: str
    text: str

    @property
    def digest(self) -> str:
        """Names the text: the same prompt comes with many requests and is shown once."""
        return blake2b(self.text.encode(), digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a language model with its reply."""

    id: int
    role: str
    model: str
    messages: tuple[Message, ...]
    reply: str | None
    error: str | None
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    latency: float | None
    """Seconds."""


@dataclass(frozen=True, slots=True)
class ForkOrigin:
    """Where a forked thread comes from."""

    thread: str
    checkpoint: str
    edits: tuple[str, ...]
    """What was changed there, in words."""


@dataclass(frozen=True, slots=True)
class FeaturePage:
    """All that is shown of one feature, or of one fork of it."""

    summary: ThreadSummary
    origin: ForkOrigin | None
    """None for the original."""
    siblings: tuple[ThreadSummary, ...]
    """Original and forks, this thread among them; empty where nothing was forked."""
    failure: str | None
    stopped: str
    """Which budget ended it early; empty for none."""
    labels: tuple[str, ...]
    not_on: tuple[str, ...]
    confidence_basis: str
    claims: tuple[ClaimLine, ...]
    rule: str | None
    """The explanation as an executable rule, in JSON; None where it has none."""
    scale: float | None
    """Mean of the top-10 maxima, in the SAE's units; None before it was measured."""
    n_tokens: int | None
    n_active_tokens: int | None
    active_from: float
    """Share of the scale from which a text counts as active."""
    inactive_to: float
    """Share of the scale up to which a text counts as inactive."""
    histogram: Histogram | None
    """None in files of an older saesage, and where nothing was measured."""
    logits: LogitEffects | None
    """None where the subject cannot tell."""
    exemplars: tuple[ExemplarGroup, ...]
    hypotheses: tuple[HypothesisNode, ...]
    """Each followed by those that refine it."""
    rounds: tuple[Round, ...]
    scores: tuple[ScoreCell, ...]
    written: tuple[WrittenText, ...]
    calls: tuple[Call, ...]
    judge_calls: int
    """Requests of the evaluation, which are left out of `calls`."""
    database: str

    @property
    def prompts(self) -> dict[str, Message]:
        """The system messages of its calls, each once, by digest."""
        messages = (message for call in self.calls for message in call.messages)
        return {each.digest: each for each in messages if each.role == "system"}

    @property
    def anchor(self) -> str:
        """What links to it name."""
        return self.summary.anchor
