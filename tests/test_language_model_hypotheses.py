"""Hypotheses from a language model: flat rules, strict schemas, rules checked by machine."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from graphs.policies.language_model.flat_rules import executable
from graphs.policies.language_model.replies import (
    ExplainerReply,
    FlatBranch,
    FlatRule,
    analyzer_reply,
    designer_reply,
    reviewer_reply,
)
from graphs.records import Proposal
from tests.language_models import (
    AND,
    answering,
    dossier_of,
    flat,
)
from tools.errors import MalformedReply, RuleError
from tools.llm.structured import response_format
from tools.rules import Enclosure, rule_from_json

DOSSIER = dossier_of("single token")
ROOT = Path(__file__).parent.parent
PROMPTS = [
    ROOT / "graphs/policies/language_model/prompts/explainer.md",
    ROOT / "graphs/policies/language_model/prompts/analyzer.md",
    ROOT / "evaluation/baselines/prompts/one_shot.md",
]


@pytest.mark.parametrize(
    ("branch", "text", "held"),
    [
        ({"tokens": [" a", "c"]}, ["a", " a", "b", "c"], " a c"),
        ({"token_class": "number"}, ["1", "one", " 2"], "1 2"),
        ({"starts_with": "un"}, [" undo", "un", "sun"], " undo"),
        ({"ends_with": "ing"}, [" sing", "ing", "ring"], " sing ring"),
        ({"tokens": ["b"], "after": ["a"]}, ["a", "b", "c", "b"], "b@1"),
        ({"tokens": ["b"], "after": ["a"], "within": 3}, ["a", "b", "c", "b", "b"], "b@1 b@3"),
        ({"tokens": ["b"], "not_after": ["a"]}, ["a", "b", "c", "b"], "b@3"),
        ({"tokens": ["b"], "after": ["c"], "not_after": ["a"], "within": 2}, list("acbccb"), "b@5"),
        ({"inside": "quotes", "token_class": "word"}, ["x", '"', "y", '"', "z"], "y"),
        ({"line_start": True}, ["a", " b", "\n", "c"], "a c"),
        ({"token_class": "any"}, ["a", " "], "a  "),
        ({"words": ["Import"]}, [" im", "port", " im", "ply"], "port"),
        ({"after_words": [" in"]}, [" in", " a", " i", "n", " b"], " a  b"),
        ({"inside": "string", "token_class": "word"}, ["x", " '", "y", "'", " z"], "y"),
        ({"sentence_start": True}, ["A", " b", ".", " C"], "A  C"),
        ({"tokens": ["a", "b"], "repeated": True}, ["a", "b", "a"], "a@2"),
    ],
)
def test_a_flat_rule_says_what_it_is_meant_to_say(
    branch: dict[str, Any], text: list[str], held: str
) -> None:
    rule = executable(FlatRule.model_validate(flat({**branch, "strength": 0.7})), "active")
    assert rule_from_json(rule.to_json()) == rule
    assert rule.strength == 0.7
    places = [f"{token}@{place}" for place, token in enumerate(text) if rule.predict(text)[place]]
    spelled = " ".join(place if "@" in held else place.split("@")[0] for place in places)
    assert spelled.split() == held.split()


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda path: path.stem)
def test_prompts_name_every_condition_and_every_enclosure(prompt: Path) -> None:
    said = prompt.read_text(encoding="utf-8")
    for name in (*FlatBranch.model_fields, *get_args(Enclosure)):
        assert f"`{name}`" in said
    for name in FlatBranch.model_fields:
        assert f'"{name}": ' in said


def test_null_is_no_condition_where_a_server_lets_it_through() -> None:
    optional = [name for name in FlatBranch.model_fields if name not in ("tokens", "strength")]
    branch = {"tokens": ["a"], "strength": 0.7}
    nulls = FlatRule.model_validate(flat({**branch, **dict.fromkeys(optional)}))
    assert nulls == FlatRule.model_validate(flat(branch))
    tokenless = {"tokens": None, "token_class": "number", "strength": 0.7}
    assert FlatBranch.model_validate(tokenless).tokens == []
    with pytest.raises(ValidationError):
        FlatBranch.model_validate({**branch, "within": "far"})


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ([], "not empty"),
        ([{"strength": 0.5}], "needs a condition"),
        ([{"tokens": ["a"], "strength": 1.5}], "from 0 to 1"),
        ([{"tokens": ["a"], "strength": math.nan}], "from 0 to 1"),
        ([{"tokens": ["a"], "strength": 0}], "above 0"),
        ([{"token_class": "verbs", "strength": 1}], "Unknown token class 'verbs'"),
        ([{"inside": "html", "strength": 1}], "'what' must be one of"),
        ([{"tokens": ["a"], "after": ["b"], "within": 0, "strength": 1}], "'within' must be"),
        ([{"tokens": ["a"], "not_after": ["b"], "within": 10**9, "strength": 1}], "'within'"),
        ([{"tokens": [""], "strength": 1}], "valid Unicode of 1 to"),
        ([{"starts_with": "\ud83d", "strength": 1}], "valid Unicode"),
        ([{"tokens": ["x" * 5000], "strength": 1}], "valid Unicode of 1 to"),
        ([{"tokens": [str(n) for n in range(500)], "strength": 1}], "at most 60 tokens"),
        ([{"words": [str(n) for n in range(500)], "strength": 1}], "at most 60 tokens or words"),
        ([{"words": [" "], "strength": 1}], "valid Unicode of 1 to"),
        ([{"tokens": ["a"], "strength": 1}] * 99, "at most 24 branches"),
    ],
)
def test_a_rule_that_cannot_be_executed_says_why(
    branches: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(RuleError, match=message):
        executable(FlatRule.model_validate(flat(*branches)), "active")


def test_a_rule_about_silence_says_where_and_not_how_strongly() -> None:
    rule = executable(FlatRule.model_validate(flat({"tokens": ["a"], "strength": 0})), "inactive")
    assert rule.predict(["a", "b"]).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("reply", "fields"),
    [
        (ExplainerReply, {}),
        (designer_reply(("H1",)), {"hypothesis": ["H1"]}),
        (analyzer_reply(("H1", "H2"), ("H2",)), {"hypothesis": ["H1", "H2"], "parent": ["H2"]}),
        (
            reviewer_reply(("H1",), ("H2", "H3"), ("O1.1", "O1.2")),
            {"more_tests": ["H1"], "best": ["H2", "H3"], "observations": ["O1.1", "O1.2"]},
        ),
        (reviewer_reply(("H1",), ("H1",), ()), {"observations": None}),
    ],
)
def test_schemas_are_strict_and_name_the_ids(
    reply: type[BaseModel], fields: dict[str, list[str] | None]
) -> None:
    sent = response_format(reply)["json_schema"]
    assert sent["name"] in ("ExplainerReply", "DesignerReply", "AnalyzerReply", "ReviewerReply")
    schema = sent["schema"]
    found: dict[str, Any] = {}
    for part in (schema, *schema.get("$defs", {}).values()):
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])
        assert "default" not in json.dumps(part)
        found |= part["properties"]
    for name, ids in fields.items():
        kinds = [found[name], found[name].get("items", {}), *found[name].get("anyOf", [])]
        assert next((kind["enum"] for kind in kinds if "enum" in kind), None) == ids


def guesses(*rules: dict[str, Any] | None, silent: Any = None, **more: Any) -> dict[str, Any]:
    """An Explainer's reply: active hypotheses with these rules, and one about silence."""
    found = [
        {"statement": f"Fires on thing {n}.", "polarity": "active", "rule": rule}
        for n, rule in enumerate(rules)
    ]
    quiet = {"statement": "Does not fire on names.", "polarity": "inactive", "rule": silent}
    return {"observation": "o", "hypotheses": [*found, quiet], **more}


def test_what_the_propose_split_contradicts_costs_no_experiment() -> None:
    wrong = flat({"tokens": [" or", " but"], "strength": 1})
    policy, model = answering(guesses(flat(AND), wrong, None, None))
    right, *others = policy.generate_hypotheses(DOSSIER)
    assert right.rule is not None
    assert right.note.startswith("its rule agrees with the propose split: r = 1.00 over ")
    assert [other.statement for other in others] == [
        "Fires on thing 2.",
        "Fires on thing 3.",
        "Does not fire on names.",
    ]
    assert not model.complaints


def test_with_too_few_rivals_left_it_is_said_what_is_contradicted() -> None:
    wrong = flat({"tokens": [" or", " but"], "strength": 1})
    bad, good = guesses(flat(AND), wrong, None, silent=flat(AND)), guesses(flat(AND), None, None)
    policy, model = answering(bad, good)
    assert len(policy.generate_hypotheses(DOSSIER)) == 4
    (complaint,) = model.complaints
    assert "contradicts the rule of 'Fires on thing 1.': it holds on none of" in complaint
    assert "contradicts the rule of 'Does not fire on names.': it holds on" in complaint


def test_a_quiet_rule_about_silence_is_kept_with_its_counts() -> None:
    quiet = flat({"tokens": [" cat", " dog"], "strength": 0.3})
    policy, _ = answering(guesses(flat(AND), None, None, silent=quiet))
    kept = policy.generate_hypotheses(DOSSIER)[-1]
    assert kept.rule is not None
    assert kept.rule["branches"][0]["strength"] == 1
    assert "in the propose split its rule holds on" in kept.note
    assert kept.note.endswith("of which 0 fire strongly")


def test_a_rule_that_cannot_be_executed_is_asked_for_again_and_then_left_out() -> None:
    broken = guesses(flat({"token_class": "verbs", "strength": 1}), None, None)
    policy, model = answering(broken, guesses(flat(AND), None, None))
    assert policy.generate_hypotheses(DOSSIER)[0].rule is not None
    assert len(model.complaints) == 1
    assert "'Fires on thing 0.'" in model.complaints[0]
    assert "Unknown token class 'verbs'" in model.complaints[0]
    policy, model = answering(broken)
    kept = policy.generate_hypotheses(DOSSIER)[0]
    assert kept.rule is None
    assert kept.note.startswith("its rule was left out: Unknown token class 'verbs'")
    assert len(model.complaints) == 2


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (guesses(None, None), "3 can be used"),
        ({"observation": "", "hypotheses": []}, "0 can be used, of polarity none"),
        (
            {**guesses(*[None] * 4), "hypotheses": guesses(*[None] * 4)["hypotheses"][:4]},
            "at least one of polarity inactive",
        ),
        (
            {
                "observation": "",
                "hypotheses": [
                    *guesses(None)["hypotheses"],
                    *({"statement": s, "polarity": "active"} for s in ("fires on THING 0", "b")),
                ],
            },
            "3 can be used",
        ),
        (
            guesses(None, None, None)
            | {"hypotheses": [{"statement": " \n", "polarity": "active"}]},
            "0 can be used",
        ),
    ],
)
def test_too_few_rivals_are_no_answer(reply: dict[str, Any], message: str) -> None:
    policy, _ = answering(reply)
    with pytest.raises(MalformedReply, match=message):
        policy.generate_hypotheses(DOSSIER)


@pytest.mark.parametrize("rules", [(None, flat(AND)), (flat(AND), None)])
def test_of_two_that_say_the_same_the_one_with_a_rule_is_kept(rules: tuple[Any, Any]) -> None:
    reply = guesses(*rules, None, None)
    reply["hypotheses"][1]["statement"] = "fires on  thing 0"
    policy, _ = answering(reply)
    found = policy.generate_hypotheses(DOSSIER)
    assert [p.rule is not None for p in found] == [True, False, False, False]


def test_rivals_with_one_rule_are_one_and_with_two_rules_are_two() -> None:
    either = flat({"tokens": [" and", " or"], "strength": 0.9})
    policy, _ = answering(guesses(flat(AND), flat(AND), either, None, None))
    found = policy.generate_hypotheses(DOSSIER)
    assert [p.statement[-2:-1] for p in found] == ["0", "2", "3", "4", "s"]
    reply = guesses(flat(AND), either, None)
    reply["hypotheses"][1]["statement"] = reply["hypotheses"][0]["statement"]
    policy, _ = answering(reply)
    assert len(policy.generate_hypotheses(DOSSIER)) == 4


def test_many_rivals_are_cut_but_not_the_one_about_silence() -> None:
    policy, _ = answering(guesses(*[None] * 20))
    found = policy.generate_hypotheses(DOSSIER)
    assert len(found) == 6
    assert found[-1].polarity == "inactive"


def test_proposals_are_records_that_the_nodes_take() -> None:
    policy, _ = answering(guesses(flat(AND), None, None))
    assert all(type(p) is Proposal for p in policy.generate_hypotheses(DOSSIER))
