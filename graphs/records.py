"""The small frozen records that the state holds and the checkpoints keep.

Pydantic models, because LangGraph's serializer rebuilds them through their validators: a tuple
that MessagePack turned into a list comes back as a tuple, so a round trip gives equal objects.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

HypothesisStatus = Literal["pending", "confirmed", "refuted", "refined", "undecided", "dropped"]
"""`pending`: still to be tested; `confirmed` / `refuted`: decided by measurements; `refined`:
reworded into a child hypothesis; `undecided`: closed without a decision; `dropped`: set aside by
the user, whatever was measured."""

FeatureStatus = Literal[
    "running", "waiting", "explained", "undecided", "budget", "rejected", "dead", "too_rare"
]
"""`waiting`: for the user's review; `explained`: at least one hypothesis was confirmed;
`undecided`: none was; `budget`: a budget ran out first; `rejected`: the user ended it without an
explanation; `dead`: never fires on the corpus; `too_rare`: fires too seldom to be explained."""

ReviewPoint = Literal["after-hypotheses", "before-conclusion"]
"""Where an investigation may wait for the user."""

Expectation = Literal["active", "inactive"]
"""What a hypothesis predicts of a text."""

Outcome = Literal["active", "inactive", "inconclusive"]
"""What was measured: normalized maximum above, below, or between the two thresholds."""

ReviewVerdict = Literal["approve", "reject"]
"""What the user makes of what waits."""

ExperimentKind = Literal[
    "positive", "negative_control", "minimal_pair", "near_miss", "context_ablation"
]
"""`positive`: fits the hypothesis; `negative_control`: should not fire; `minimal_pair`: one thing
changed; `near_miss`: fits a rival, not this one; `context_ablation`: context taken away."""


class Record(BaseModel):
    """Frozen, closed, comparable by value."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Proposal(Record):
    """A hypothesis as a policy words it."""

    statement: str
    """One English sentence."""
    polarity: Expectation = "active"
    """`inactive` for a hypothesis that says what must NOT fire."""
    rule: dict[str, Any] | None = None
    """An executable rule as JSON (see `tools.rules`), if the hypothesis has one."""
    note: str = ""
    """What was found out about it before any experiment, such as how its rule fits the corpus."""


class Hypothesis(Proposal):
    """A proposal under test."""

    id: str
    """`H1`, `H2`, ... in the order proposed."""
    round: int
    """The round it was proposed in; 0 before any experiment."""
    parent: str | None = None
    """The hypothesis that this one refines."""
    status: HypothesisStatus = "pending"
    supporting: tuple[str, ...] = ()
    """Ids of the observations that came out as predicted."""
    contradicting: tuple[str, ...] = ()
    """Ids of the observations that came out against the prediction."""
    inconclusive: tuple[str, ...] = ()
    """Ids of the observations between the thresholds."""
    reason: str = ""
    """The counts that gave the status."""
    interpretation: str = ""
    """What the analysing policy reads out of the evidence; never decides the status."""

    @property
    def experiments(self) -> tuple[str, ...]:
        """Ids of the experiments that it was judged by."""
        observed = (*self.supporting, *self.contradicting, *self.inconclusive)
        return tuple(f"E{observation[1:]}" for observation in observed)

    @property
    def tests(self) -> int:
        """Number of experiments that it was judged by."""
        return len(self.experiments)


class Trial(Record):
    """One text of an experiment with its prediction."""

    text: str
    predicted: Expectation


class Design(Record):
    """An experiment as a policy plans it: a set of texts, each with a prediction."""

    hypothesis: str
    kind: ExperimentKind
    trials: tuple[Trial, ...]
    purpose: str = ""
    """What the set is to tell apart."""


class Experiment(Record):
    """One planned text; the texts of one design share `design`."""

    id: str
    """`E<design>.<text>`, such as `E3.2`."""
    design: str
    """`E<design>`."""
    hypothesis: str
    kind: ExperimentKind
    text: str
    """Exactly what is tokenised, special tokens aside."""
    predicted: Expectation
    purpose: str
    round: int


class Observation(Record):
    """What the subject did on one experiment's text."""

    id: str
    """`O<design>.<text>`: the experiment's id with an O."""
    experiment: str
    hypothesis: str
    tokens: tuple[str, ...]
    activations: tuple[float, ...]
    """Per token, in the SAE's units, special tokens left out."""
    max_activation: float
    normalized: float
    """`max_activation` over the feature's scale (mean of its top-10 maxima)."""
    outcome: Outcome
    supports: bool | None
    """Whether the outcome is the predicted one; None when inconclusive."""


class Interpretation(Record):
    """What a policy reads out of one hypothesis' evidence, in words."""

    hypothesis: str
    text: str


class Setback(Record):
    """Why a policy can do nothing more for one hypothesis, which is closed for that reason."""

    hypothesis: str
    reason: str
    spent: bool = False
    """Whether it is a budget of language-model calls: then the investigation ends with it."""


class Refinement(Record):
    """A new hypothesis, in place of `parent` or beside the others."""

    proposal: Proposal
    parent: str | None = None


class Review(Record):
    """Whether the evidence is enough."""

    requests: tuple[str, ...] = ()
    """Hypotheses to be tested further; none means conclude."""


class Claim(Record):
    """One statement of an explanation and the observations that it rests on."""

    text: str
    shows: Expectation
    """What each of the observations must have come out as."""
    observations: tuple[str, ...]


class Conclusion(Record):
    """An explanation as a policy words it."""

    description: str
    labels: tuple[str, ...]
    """One, or one for each meaning of a polysemantic feature."""
    not_on: tuple[str, ...]
    """What the feature does not fire on."""
    claims: tuple[Claim, ...]
    rule: dict[str, Any] | None = None


class Explanation(Conclusion):
    """A conclusion with its confidence, computed from the measurements."""

    confidence: float | None
    """In [0, 1]; None where nothing that it rests on was tested."""
    confidence_basis: str
    """How `confidence` was computed, with its counts."""


class FeatureScale(Record):
    """What the corpus says of a feature before any experiment."""

    scale: float
    """Mean of the top-10 window maxima of the propose split, in the SAE's units."""
    n_tokens: int
    n_active_tokens: int
    n_active_windows: int


class NewExperiment(Record):
    """A text that the user adds as a test of a hypothesis."""

    hypothesis: str
    """An id; the edit's own new hypotheses have theirs already."""
    text: str
    predicted: Expectation


class Rewording(Record):
    """A hypothesis in the user's words, to take the place of another."""

    hypothesis: str
    proposal: Proposal


class Edits(Record):
    """What the user changes of an investigation."""

    add: tuple[Proposal, ...] = ()
    """New hypotheses; numbered in this order, after those that there are."""
    reword: tuple[Rewording, ...] = ()
    """Each becomes a child of the hypothesis that it rewords; numbered after those of `add`."""
    drop: tuple[str, ...] = ()
    """Hypotheses to set aside; what was measured for them stays."""
    experiments: tuple[NewExperiment, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing is changed."""
        return self == Edits()


class Answer(Record):
    """What the user makes of an investigation that waits for review."""

    verdict: ReviewVerdict
    """`approve`: go on, with the edits; `reject`: end without an explanation."""
    edits: Edits = Edits()


class ForkedFrom(Record):
    """Where an investigation was forked off another one, and what was changed."""

    thread: str
    checkpoint: str
    edits: Edits
    settings: tuple[str, ...] = ()
    """Changes of the configuration, such as `budget.rounds=20`."""


RECORD_TYPES: tuple[type[Record], ...] = (
    Hypothesis,
    Experiment,
    Observation,
    Explanation,
    Claim,
    FeatureScale,
    ForkedFrom,
)
"""The types that the state holds: what the strict serializer may bring back."""
