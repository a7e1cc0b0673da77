"""What a feature is known to mean, where somebody planted it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluation.candidate import Predictor
from graphs.config import SubjectConfig
from tools.activations import Subject
from tools.errors import CorruptSubject, RuleError
from tools.rules import Branch, Rule, TokenIn, rule_from_json

TRUTH_FILE = "truth.jsonl"
"""Lies beside the weights of an SAE whose features were planted."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The known meaning of a planted feature."""

    family: str
    """What kind of meaning it is, such as `token set`; features of a family are counted as one."""
    statement: str
    """One English sentence."""
    predictor: Predictor
    """The exact meaning, without the noise that may have been put on it."""


@runtime_checkable
class KnownTruth(Protocol):
    """A subject whose features were planted."""

    def truth(self, feature: int) -> Truth:
        """What the feature means."""
        ...


class TruthLine(BaseModel):
    """One line of a truth file: what one feature fires on, as a set of tokens or as a rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: int = Field(ge=0)
    family: str = Field(min_length=1)
    statement: str = Field(min_length=1)
    tokens: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Surfaces; where there is a rule they only illustrate it."""
    rule: dict[str, Any] | None = None
    """See `tools.rules`."""

    def truth(self) -> Truth:
        """What the line says.

        Raises:
            RuleError: the rule is malformed, or there is neither rule nor tokens.
        """
        if self.rule is not None:
            return Truth(self.family, self.statement, rule_from_json(self.rule))
        if self.tokens is None:
            raise RuleError("it has neither tokens nor a rule")
        return Truth(self.family, self.statement, Rule((Branch(TokenIn(self.tokens), 1.0),)))


def truths(subject: Subject, config: SubjectConfig) -> Mapping[int, Truth]:
    """The known meanings of a subject's features; empty where nothing is known.

    They come from the subject itself, or from the file `truth.jsonl` beside a local SAE's weights.

    Raises:
        CorruptSubject: the file is broken; says which line.
    """
    if isinstance(subject, KnownTruth):
        return {feature: subject.truth(feature) for feature in range(subject.info.n_features)}
    folder = config.sae.path if config.sae else None
    if folder is None or not (Path(folder) / TRUTH_FILE).is_file():
        return {}
    return read_truths(Path(folder) / TRUTH_FILE, subject.info.n_features)


def may_be_known(config: SubjectConfig) -> bool:
    """Whether loading the subject may show what its features mean."""
    folder = config.sae.path if config.sae else None
    beside = folder is not None and (Path(folder) / TRUTH_FILE).is_file()
    return config.factory is not None or beside


def known_digest(config: SubjectConfig) -> str:
    """Hash of the truth file beside a local SAE; empty where there is none.

    What a factory's subject knows is part of its own fingerprint.
    """
    folder = config.sae.path if config.sae else None
    path = Path(folder or "") / TRUTH_FILE
    if folder is None or not path.is_file():
        return ""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def read_truths(path: Path, n_features: int) -> dict[int, Truth]:
    """The meanings that a truth file tells, by feature.

    Raises:
        CorruptSubject: it cannot be read, or a line is malformed, tells of a feature that does not
            exist, or of one that was told of before.
    """
    try:
        # Not splitlines: JSON may hold characters that it takes for line breaks.
        lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptSubject(f"{path} cannot be read: {error}; make it anew.") from error
    known: dict[int, Truth] = {}
    for number, line in enumerate(lines, start=1):
        try:
            told = TruthLine.model_validate_json(line)
            truth = told.truth()
        except (ValidationError, RuleError) as error:
            raise CorruptSubject(f"{path}, line {number}: {_reason(error)}; correct it.") from error
        if told.feature >= n_features:
            raise CorruptSubject(
                f"{path}, line {number}: there is no feature {told.feature}; the SAE has "
                f"{n_features}. Use the file that belongs to these weights."
            )
        if told.feature in known:
            raise CorruptSubject(f"{path}, line {number}: feature {told.feature} comes twice.")
        known[told.feature] = truth
    return known


def _reason(error: ValidationError | RuleError) -> str:
    if isinstance(error, RuleError):
        return str(error).rstrip(".")
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}".removeprefix(": ")
