"""The shape of each role's reply: what its JSON schema demands, and what is read out of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    create_model,
    field_validator,
)

from graphs.records import Expectation, ExperimentKind

R = TypeVar("R", bound=BaseModel)

_REMEMBERED = 256
"""Shapes kept of each reply: features in flight ask about hypotheses of the same ids."""


class Reply(BaseModel):
    """Part of what a language model answers.

    The schema that is sent demands every field. What says nothing may all the same be left out,
    for not every server enforces schemas.
    """

    model_config = ConfigDict(frozen=True)


class FlatBranch(Reply):
    """Conditions that all must hold for a token; empty or null for no such condition.

    Null is taken everywhere, for a server that does not enforce schemas lets it through.
    """

    tokens: list[str] = []
    words: list[str] = []
    token_class: str | None = None
    starts_with: str | None = None
    ends_with: str | None = None
    after: list[str] = []
    not_after: list[str] = []
    after_words: list[str] = []
    within: int = 1
    inside: str | None = None
    line_start: bool = False
    sentence_start: bool = False
    repeated: bool = False
    strength: float

    @field_validator("*", mode="before")
    @classmethod
    def _no_condition(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[info.field_name or ""]
        return field.get_default() if value is None and not field.is_required() else value


class FlatRule(Reply):
    """A rule as a language model writes it: a token is as active as its strongest branch."""

    branches: list[FlatBranch]


class Guess(Reply):
    """A hypothesis as the Explainer words it."""

    statement: str
    polarity: Expectation
    rule: FlatRule | None = None


class ExplainerReply(Reply):
    """Rival hypotheses."""

    observation: str
    hypotheses: list[Guess]


class DesignedText(Reply):
    """One text to be measured."""

    hypothesis: str
    kind: ExperimentKind
    text: str
    expected: Expectation


class DesignerReply(Reply):
    """Texts that tell hypotheses apart."""

    experiments: list[DesignedText]


class Reading(Reply):
    """What the results say of one hypothesis."""

    hypothesis: str
    text: str


class Rewording(Reply):
    """A hypothesis in place of `parent`, or a new one."""

    parent: str | None = None
    statement: str
    polarity: Expectation
    rule: FlatRule | None = None


class AnalyzerReply(Reply):
    """What a round's results mean."""

    interpretations: list[Reading]
    refinements: list[Rewording]


class CitedClaim(Reply):
    """A statement and the results that show it."""

    text: str
    shows: Expectation
    observations: list[str]


class ReviewerReply(Reply):
    """Whether more tests are needed, and the explanation as it stands."""

    more_tests: list[str]
    best: str
    description: str
    labels: list[str]
    not_on: list[str]
    claims: list[CitedClaim]


@lru_cache(_REMEMBERED)
def designer_reply(open: tuple[str, ...]) -> type[DesignerReply]:
    """The Designer's reply on these hypotheses."""
    text = _narrowed(DesignedText, hypothesis=_one_of(open))
    return _narrowed(DesignerReply, experiments=list[text])


@lru_cache(_REMEMBERED)
def analyzer_reply(tested: tuple[str, ...], due: tuple[str, ...]) -> type[AnalyzerReply]:
    """The Analyzer's reply on hypotheses tested in a round, some of them due to be reworded."""
    reading = _narrowed(Reading, hypothesis=_one_of(tested))
    rewording = _narrowed(Rewording, parent=_one_of(due) | None)
    return _narrowed(AnalyzerReply, interpretations=list[reading], refinements=list[rewording])


@lru_cache(_REMEMBERED)
def reviewer_reply(
    testable: tuple[str, ...], leaders: tuple[str, ...], observations: tuple[str, ...]
) -> type[ReviewerReply]:
    """The Reviewer's reply.

    Args:
        testable: ids of hypotheses that may be tested further.
        leaders: ids of hypotheses that the explanation may rest on.
        observations: ids that may be cited.
    """
    claim = _narrowed(CitedClaim, observations=list[_one_of(observations)])
    return _narrowed(
        ReviewerReply,
        more_tests=list[_one_of(testable)],
        best=_one_of(leaders),
        claims=list[claim],
    )


def _one_of(ids: Sequence[str]) -> Any:
    """A string that the schema wants to be one of `ids`.

    It is compared when the reply is read, where what is wrong can be said, and the rest used.
    """
    return Annotated[str, Field(json_schema_extra={"enum": list(ids)})] if ids else str


def _narrowed(reply: type[R], **fields: Any) -> type[R]:
    """A reply of the same name with other types for some of its fields."""
    narrowed: dict[str, Any] = {name: (kind, ...) for name, kind in fields.items()}
    return create_model(reply.__name__, __base__=reply, __doc__=reply.__doc__, **narrowed)
