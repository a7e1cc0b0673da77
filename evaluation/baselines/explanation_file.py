"""Explanations from a user's file: JSON lines `{"feature": 3, "explanation": "...", "rule": ...}`.

The whole file is checked before anything is scored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from evaluation.baselines.baseline import Desk, by_rule, missing
from evaluation.candidate import Candidate
from graphs.records import Proposal
from tools.errors import ExplanationFileError, RuleError
from tools.rules import rule_from_json

MOST_NAMED = 10
"""Features that an error lists."""
DEEPEST = 50
"""Levels of JSON in a line: what is nested deeper could not be executed either."""


class Line(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    feature: Annotated[int, Field(ge=0)]
    explanation: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    rule: dict[str, Any] | None = None
    """As `tools.rules` writes it; without one, judge `rule` has nothing to execute."""


@dataclass(frozen=True, slots=True)
class ExplanationFile:
    """A Baseline of explanations that somebody else made."""

    name: str
    digest: str
    """Hash of the file."""
    lines: Mapping[int, Line]

    def asks(self, policy: str) -> bool:
        """Never."""
        return False

    def recipe(self, agentic: Mapping[int, Candidate]) -> str:
        """The file's content."""
        return self.digest

    def explain(self, desk: Desk) -> Candidate:
        """What the file says of the feature."""
        line = self.lines.get(desk.feature)
        if line is None:
            return missing(self.name, desk.feature, "the file has no explanation of it")
        proposal = Proposal(statement=line.explanation, rule=line.rule)
        return by_rule(self.name, desk.feature, proposal)


def read_explanations(path: Path, run: str, features: Collection[int]) -> ExplanationFile:
    """Read and check a file; it need not cover every feature.

    Args:
        path: the file; its stem names the explainer.
        run: the run's name, for messages.
        features: the run's features.

    Raises:
        ExplanationFileError: the file cannot be read, a line of it is broken, it explains a feature
            twice or none at all, or it names features that the run does not have.
    """
    content = _content(path)
    lines: dict[int, Line] = {}
    first_on: dict[int, int] = {}
    for number, line in _lines(path, content):
        if line.feature in lines:
            raise ExplanationFileError(
                f"{path}, line {number}: feature {line.feature} is explained on line "
                f"{first_on[line.feature]} already; keep one of the two."
            )
        lines[line.feature], first_on[line.feature] = line, number
    if not lines:
        raise ExplanationFileError(
            f'{path} holds no explanation; give one a line, as in {{"feature": 3, "explanation": '
            '"Fires on ..."}.'
        )
    _check_features(path, lines, run, features)
    digest = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
    return ExplanationFile(f"file:{path.stem}", digest, lines)


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ExplanationFileError(
            f"there is no file of explanations {path}; check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise ExplanationFileError(f"{path} is not UTF-8 ({error}); save it as UTF-8.") from error
    except OSError as error:
        raise ExplanationFileError(f"{path} cannot be read: {error}.") from error


def _lines(path: Path, content: str) -> Iterator[tuple[int, Line]]:
    """Each line that is not blank, with its number."""
    # Not splitlines: JSON strings may hold the other line breaks that Unicode knows.
    for number, text in enumerate(content.split("\n"), start=1):
        if text.strip():
            try:
                yield number, _line(text)
            except (ValueError, RuleError) as error:
                raise ExplanationFileError(f"{path}, line {number}: {_told(error)}") from error
            except RecursionError as error:
                raise ExplanationFileError(
                    f"{path}, line {number} is nested too deeply; write a simpler rule."
                ) from error


def _line(text: str) -> Line:
    content: object = json.loads(text)
    if _depth(content) > DEEPEST:
        raise RecursionError
    if not isinstance(content, dict):
        raise ValueError("each line must be one JSON object")
    # JSON can escape halves of characters, which no database stores.
    json.dumps(content, ensure_ascii=False).encode()
    line = Line.model_validate(content)
    if line.rule is not None:
        rule_from_json(line.rule)
    return line


def _depth(value: object) -> int:
    """Levels of lists and objects."""
    if isinstance(value, dict):
        value = list(cast("dict[str, object]", value).values())
    if not isinstance(value, list):
        return 0
    return 1 + max(map(_depth, cast("list[object]", value)), default=0)


def _told(error: ValueError | RuleError) -> str:
    match error:
        case ValidationError():
            found = error.errors(include_url=False, include_input=False)
            told = "; ".join(f"{_place(item['loc'])}: {item['msg']}" for item in found)
            return f"{told}. A line has the fields {', '.join(Line.model_fields)}."
        case json.JSONDecodeError():
            return f"it is no JSON ({error}); each line must be one JSON object."
        case UnicodeEncodeError():
            return "it has escapes that are no Unicode characters; take them out."
        case RuleError():
            return f"the rule cannot be executed: {error}"
        case _:
            return f"{error}."


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location))


def _check_features(
    path: Path, lines: Mapping[int, Line], run: str, features: Collection[int]
) -> None:
    known = set(features)
    unknown = sorted(feature for feature in lines if feature not in known)
    if unknown:
        named = ", ".join(map(str, unknown[:MOST_NAMED]))
        more = len(unknown) - MOST_NAMED
        raise ExplanationFileError(
            f"{path} explains features that run {run} does not have: {named}"
            f"{f' and {more} more' if more > 0 else ''}; take them out, or explain them too."
        )
