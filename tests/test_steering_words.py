"""What the user types as a hypothesis is read as one, or refused with what to type instead."""

from __future__ import annotations

import json

import pytest

from graphs.config import parse_config
from graphs.steering.words import Words, edits_of, proposal_of
from tools.errors import EditRefused, RuleError
from tools.rules import Branch, Rule, TokenIn

RULE = Rule((Branch(TokenIn((" import",)), 0.5),)).to_json()
CONFIG = {"subject": {"factory": "a:b"}, "corpus": {"source": "x"}, "features": [1]}


@pytest.mark.parametrize(
    ("text", "tokens", "polarity"),
    [
        ("Fires on ' import'.", [" import"], "active"),
        (
            "fires on the tokens ' import', 'import' and \" from\"",
            [" import", "import", " from"],
            "active",
        ),
        ("Fires on the token '\\n'", ["\n"], "active"),
        ("Fires on 'it\\'s'", ["it's"], "active"),
        ("Does not fire on ' the' or ' a'.", [" the", " a"], "inactive"),
    ],
)  # fmt: skip
def test_tokens_in_quotes_are_a_rule(text: str, tokens: list[str], polarity: str) -> None:
    proposal = proposal_of(text)
    assert proposal.polarity == polarity
    assert proposal.rule is not None
    ((when),) = [branch["when"] for branch in proposal.rule["branches"]]
    assert (when["tokens"], when["folded"]) == (tokens, False)


def test_any_spelling() -> None:
    rule = proposal_of("Fires on 'Import' in any spelling.").rule
    assert rule is not None
    assert rule["branches"][0]["when"] == {
        "kind": "token_in",
        "tokens": ["import"],
        "folded": True,
    }


@pytest.mark.parametrize(
    "text", ["Fires on imports.", "Fires on 'a' unless after 'b'.", "It may fire on 'a'"]
)
def test_what_says_more_than_tokens_has_no_rule(text: str) -> None:
    """Half of a sentence must not pass for the whole."""
    assert (proposal_of(text).statement, proposal_of(text).rule) == (text, None)


def test_json() -> None:
    assert proposal_of(json.dumps(RULE)).rule == RULE
    full = {"statement": "imports", "polarity": "inactive", "rule": RULE}
    assert proposal_of(json.dumps(full)).model_dump() == {**full, "note": ""}
    with pytest.raises(EditRefused, match="no valid JSON"):
        proposal_of("{")
    with pytest.raises(EditRefused, match="statement"):
        proposal_of('{"words": "x"}')
    with pytest.raises(RuleError, match="Unknown kind"):
        proposal_of('{"branches": [{"when": {"kind": "x"}, "strength": 1}]}')


def test_a_sentence_needs_somebody_who_can_test_it() -> None:
    words = Words(add=["Fires on imports."])
    with pytest.raises(EditRefused, match="policies.design_experiments=language_model"):
        edits_of(parse_config(CONFIG), words)
    able = parse_config({**CONFIG, "policies": {"design_experiments": "mine:Policy"}})
    assert edits_of(able, words).add[0].statement == "Fires on imports."
