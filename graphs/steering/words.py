"""What the user types, read as hypotheses and edits."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from pydantic import ValidationError

from graphs.config import RunConfig
from graphs.policies.symbolic.statements import propose, propose_silence
from graphs.records import Edits, Expectation, NewExperiment, Proposal, Rewording
from tools.errors import EditRefused
from tools.rules import Branch, Rule, TokenIn, rule_from_json

RULE_HELP = (
    "\"Fires on ' import' and ' from'.\" (or \"Does not fire on ...\"): tokens in quotes, with "
    'their leading space; or a rule as JSON, {"branches": [...]}, as show --json has it; or '
    '{"statement": "...", "polarity": "active", "rule": {...}}. A sentence of another kind needs '
    "policies.design_experiments=language_model, for no rule says what it predicts."
)

_QUOTED = r"""(?:'(?:[^'\\]|\\.)+'|"(?:[^"\\]|\\.)+")"""
_SENTENCE = re.compile(
    rf"(?P<silent>does not fire|fires) on (?:the )?(?:tokens? )?"
    rf"(?P<tokens>{_QUOTED}(?:(?:,| and| or|, and|, or) {_QUOTED})*)"
    r"(?P<folded> in any spelling)?\.?",
    re.IGNORECASE,
)
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\\\": "\\", "\\'": "'", '\\"': '"'}


@dataclass(frozen=True, slots=True)
class Words:
    """Edits as they are typed."""

    add: Sequence[str] = ()
    """New hypotheses, as `RULE_HELP` says."""
    reword: Sequence[tuple[str, str]] = ()
    """Ids of hypotheses, each with its new words."""
    drop: Sequence[str] = ()
    """Ids of hypotheses."""
    experiments: Sequence[tuple[str, str, str]] = ()
    """Id of a hypothesis, text, and `active` or `inactive`."""


def edits_of(config: RunConfig, words: Words) -> Edits:
    """The edits that the user's words ask for, in a run or fork of that configuration.

    Raises:
        EditRefused: something cannot be read, or could not be tested.
        RuleError: a rule is malformed.
    """
    designer = config.policy_of("design_experiments")
    return Edits(
        add=tuple(_testable(text, designer) for text in words.add),
        reword=tuple(
            Rewording(hypothesis=id, proposal=_testable(text, designer))
            for id, text in words.reword
        ),
        drop=tuple(words.drop),
        experiments=tuple(
            NewExperiment(hypothesis=id, text=text, predicted=_expectation(predicted))
            for id, text, predicted in words.experiments
        ),
    )


def proposal_of(text: str) -> Proposal:
    """The hypothesis that a text words; with a rule if it says which tokens it means.

    Raises:
        EditRefused: it is JSON of another shape, or empty.
        RuleError: its rule is malformed.
    """
    text = text.strip()
    if text.startswith("{"):
        return _from_json(text)
    said = _SENTENCE.fullmatch(text)
    if said is None:
        return Proposal(statement=text)
    quoted = re.findall(_QUOTED, said["tokens"])
    tokens = tuple(_unescaped(token[1:-1]) for token in quoted)
    rule = Rule((Branch(TokenIn(tokens, folded=said["folded"] is not None), 1.0),))
    return propose_silence(rule) if said["silent"].lower() != "fires" else propose(rule)


def _testable(text: str, designer: str) -> Proposal:
    proposal = proposal_of(text)
    if proposal.rule is None and designer == "symbolic":
        raise EditRefused(
            f"policy symbolic cannot test {text!r}: it has no rule that says what it predicts. "
            f"Give {RULE_HELP}"
        )
    return proposal


def _from_json(text: str) -> Proposal:
    try:
        content: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise EditRefused(f"the hypothesis is no valid JSON: {error}; give {RULE_HELP}") from error
    fields = cast("dict[str, Any]", content)
    if "branches" in fields:
        return propose(rule_from_json(fields))
    try:
        return Proposal.model_validate(fields)
    except ValidationError as error:
        raise EditRefused(f"the hypothesis cannot be read: {error}; give {RULE_HELP}") from error


def _expectation(word: str) -> Expectation:
    for known in get_args(Expectation):
        if word == known:
            return known
    raise EditRefused(f"a text is expected to be active or inactive, not {word!r}.")


def _unescaped(text: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), text)
