"""The scripted scientist reads its prompt, keeps to the schema and says what the data says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import BaseModel

from tests.llm_server.prompts import (
    EXEMPLARS,
    IDS,
    NARROW,
    REPLIES,
    SILENT,
    TOKENS,
    TRUE,
    ExplainerReply,
    again,
    analyzer_reply,
    body,
    designer_reply,
    hypothesis,
    result,
    reviewer_reply,
)
from tests.llm_server.scientist import scientist


def answered(reply: type[BaseModel], request: dict[str, Any]) -> Any:
    content = scientist(request)
    reply.model_validate_json(content)
    return json.loads(content)


def fires(text: str) -> bool:
    """What the feature of `TOKENS` and `EXEMPLARS` truly does."""
    return re.search(r" import\b| from\b", text) is not None


def test_the_explainer_reads_rivals_out_of_table_and_exemplars() -> None:
    request = body(ExplainerReply, tokens=TOKENS, exemplars=EXEMPLARS)
    graded, single, context, other, silent = answered(ExplainerReply, request)["hypotheses"]
    branches = [(b["tokens"], b["strength"]) for b in graded["rule"]["branches"]]
    assert branches == [([" import"], 0.9), ([" from"], 0.45)]
    assert [b["tokens"] for b in single["rule"]["branches"]] == [[" import"]]
    (branch,) = context["rule"]["branches"]
    assert (branch["tokens"], branch["after"]) == ([" import"], [" now"])
    assert other["polarity"] == "active"
    assert silent["polarity"] == "inactive"
    assert silent["rule"]["branches"][0]["tokens"][0] == " important"
    assert len({h["statement"] for h in (graded, single, context, other, silent)}) == 5


def test_the_explainer_names_a_class_that_the_tokens_share() -> None:
    tokens = [{"token": f" {n}", "share": 0.2, "mean": 0.8, "fires": 1.0, "n": 9} for n in "12345"]
    guesses = answered(ExplainerReply, body(ExplainerReply, tokens=tokens))["hypotheses"]
    assert "number" in [b["token_class"] for g in guesses for b in g["rule"]["branches"]]


def test_without_a_table_the_marks_tell_the_tokens() -> None:
    guesses = answered(ExplainerReply, body(ExplainerReply, exemplars=EXEMPLARS))["hypotheses"]
    assert guesses[0]["rule"]["branches"][0]["tokens"] == [" import", " from"]


def test_designs_predict_what_each_hypothesis_says() -> None:
    blocks: dict[str, Any] = {"hypotheses": [TRUE, NARROW, SILENT], "tokens": TOKENS}
    request = body(REPLIES["designer"], exemplars=EXEMPLARS, results=[], **blocks)
    made = answered(REPLIES["designer"], request)["experiments"]
    of = {id: [e for e in made if e["hypothesis"] == id] for id in IDS}
    assert {id: len({e["text"] for e in own}) for id, own in of.items()} == dict.fromkeys(IDS, 8)
    assert not any("«" in e["text"] or "»" in e["text"] for e in made)
    for e in of["H1"]:
        assert fires(e["text"]) == (e["expected"] == "active")
    assert {e["expected"] for e in of["H1"]} == {"active", "inactive"}
    assert len({e["kind"] for e in of["H1"]}) >= 4
    assert all(("now import" in e["text"]) == (e["expected"] == "active") for e in of["H2"])
    assert any(fires(e["text"]) and e["expected"] == "inactive" for e in of["H2"])
    inactive = [e["text"] for e in of["H3"] if e["expected"] == "inactive"]
    assert len(inactive) >= 6
    assert all(" important" in text and not fires(text) for text in inactive)


@pytest.mark.parametrize(
    ("most", "instructions", "each"),
    [
        (None, "", 8),
        (None, "Write 6 texts for each hypothesis.", 6),
        (None, "Write four short texts for each.", 4),
        (None, "Write 9 texts in all.", 3),
        (12, "Write 6 texts for each hypothesis.", 4),
    ],
)
def test_designs_have_the_size_asked_for(most: int | None, instructions: str, each: int) -> None:
    reply = designer_reply(IDS, most)
    blocks: dict[str, Any] = {"hypotheses": [TRUE, NARROW, SILENT], "tokens": TOKENS}
    request = body(reply, instructions, exemplars=EXEMPLARS, **blocks)
    asked = [e["hypothesis"] for e in answered(reply, request)["experiments"]]
    assert asked == [id for id in IDS for _ in range(each)]


def test_only_the_hypotheses_of_the_schema_are_designed_for_and_no_text_comes_twice() -> None:
    reply = designer_reply(["H2"])
    blocks: dict[str, Any] = {"hypotheses": [TRUE, NARROW], "tokens": TOKENS}
    measured: list[Any] = []
    for round in range(1, 4):
        request = body(reply, exemplars=EXEMPLARS, results=measured, **blocks)
        made = answered(reply, request)["experiments"]
        assert {e["hypothesis"] for e in made} == {"H2"}
        texts = [e["text"] for e in made]
        assert len(texts) >= 6
        assert not {m["text"].replace("« import»9", " import") for m in measured} & set(texts)
        for index, text in enumerate(texts):
            marked = text.replace(" import", "« import»9")
            measured.append(result(f"O{round}.{index}", "active", marked, of="H2"))


def test_a_hypothesis_in_foreign_words_still_gets_texts() -> None:
    odd = hypothesis("H1", "The feature is about bringing goods into a country: import.")
    reply = designer_reply(["H1"])
    request = body(reply, hypotheses=[odd], tokens=TOKENS, exemplars=EXEMPLARS)
    made = answered(reply, request)["experiments"]
    assert any(e["expected"] == "active" and " import" in e["text"] for e in made)
    assert any(e["expected"] == "inactive" and not fires(e["text"]) for e in made)


def test_refinements_follow_the_results() -> None:
    reply = analyzer_reply(["H1", "H2"], ["H1"])
    too_wide = hypothesis("H1", "Fires on the tokens ' import' and ' cake'.", "refined")
    fine = hypothesis("H2", "Fires on the token ' import'.", "confirmed")
    results = [
        result("O1.1", "active", "now« import»9 it"),
        result("O1.2", "inactive", "a piece of cake now"),
        result("O1.3", "active", "he came« from»8 here", predicted="inactive"),
    ]
    answer = answered(reply, body(reply, hypotheses=[too_wide, fine], results=results))
    (child,) = answer["refinements"]
    assert child["parent"] == "H1"
    assert [t for b in child["rule"]["branches"] for t in b["tokens"]] == [" import", " from"]
    assert {i["hypothesis"] for i in answer["interpretations"]} == {"H1"}


def test_a_new_hypothesis_only_while_nothing_active_is_confirmed() -> None:
    reply = analyzer_reply(["H1"], [])
    results = [result("O1.1", "active", "he came« from»8 here", predicted="inactive")]
    for status, parents in (("refuted", [None]), ("confirmed", [])):
        row = hypothesis("H1", "Fires on the token ' import'.", status)
        answer = answered(reply, body(reply, hypotheses=[row], results=results))
        assert [r["parent"] for r in answer["refinements"]] == parents


def test_the_review_cites_only_what_came_out_so() -> None:
    results = [
        result("O1.1", "active", "now« import»9 it"),
        result("O1.2", "inactive", "nothing here", predicted="inactive"),
        result("O1.3", "inactive", "an import of old"),
        result("O2.1", "inactive", "how important", predicted="inactive", of="H3"),
    ]
    rows = [
        {**TRUE, "status": "confirmed", "results": "5/6 predicted active and 3/3 inactive held"},
        {**NARROW, "status": "confirmed", "results": "2/2 predicted active and 1/1 inactive held"},
        {**SILENT, "status": "confirmed", "results": "0/0 predicted active and 9/9 inactive held"},
    ]
    ids = [row["id"] for row in results]
    reply = reviewer_reply(IDS, ids)
    answer = answered(reply, body(reply, hypotheses=rows, results=results))
    assert (answer["best"], answer["more_tests"]) == ("H1", [])
    outcomes = {row["id"]: row["outcome"] for row in results}
    cited = [(c["shows"], id) for c in answer["claims"] for id in c["observations"]]
    assert cited
    assert all(outcomes[id] == shows for shows, id in cited)
    assert answer["not_on"] == ["the token ' important'."]


def test_more_tests_only_while_little_was_tested() -> None:
    few = [result(f"O1.{n}", "inactive", f"text {n}", of="H2") for n in range(1, 4)]
    many = [result(f"O1.{n}", "inactive", f"text {n}", of="H2") for n in range(1, 30)]
    rows = [{**TRUE, "status": "undecided"}, {**NARROW, "status": "refuted"}]
    for results, wanted in ((few, ["H1"]), (many, [])):
        reply = reviewer_reply(["H1", "H2"], [row["id"] for row in results])
        answer = answered(reply, body(reply, hypotheses=rows, results=results))
        assert (answer["more_tests"], answer["best"]) == (wanted, "H1")


@pytest.mark.parametrize("role", REPLIES)
def test_a_foreign_reply_is_taken_back_and_an_own_one_changed(role: str) -> None:
    rows = [{**TRUE, "status": "confirmed"}, {**NARROW, "status": "refined"}, SILENT]
    results = [
        result("O1.1", "active", "now« import»9 it"),
        result("O1.2", "inactive", "so to import", of="H2"),
    ]
    data: dict[str, Any] = {"tokens": TOKENS, "exemplars": EXEMPLARS, "hypotheses": rows}
    request = body(REPLIES[role], results=results, **data)
    first = scientist(request)
    assert scientist(again(request, "{}", "A field is missing.")) == first
    other = scientist(again(request, first, "O1.1 cannot be cited; H2 cannot be so."))
    assert other != first
    REPLIES[role].model_validate_json(other)
    if role == "reviewer":
        assert "O1.1" not in other
