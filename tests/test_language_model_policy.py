"""Language-model policies in the graph: mixes, calls, failures, and equal requests."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from graphs.config import ROLES, parse_config
from graphs.context import ExplainContext, Limits, Policies
from graphs.explain import build_graph
from graphs.policies.language_model import LanguageModelPolicy
from graphs.policies.protocols import Case, Thresholds
from graphs.policies.registry import load_policies
from graphs.policies.symbolic.analysis import analyze_evidence as counted_facts
from graphs.records import Design, Refinement, Review, Setback
from graphs.state import ExplainState, initial_state
from tests.language_models import (
    FakeLanguageModel,
    body_of,
    case_of,
    dossier_of,
    experiment,
    hypothesis,
    messages_of,
)
from tests.llm_server.scientist import scientist
from tests.test_symbolic_planted import FEATURES, PLANTED, world
from tools.errors import (
    BudgetSpent,
    CallFailed,
    LanguageModelError,
    MalformedReply,
)
from tools.llm.language_model import LanguageModel

CHARACTERS_PER_TOKEN = 4
MOST_TOKENS_OF_A_FEATURE = 40_000
MOST_TOKENS = {
    "ExplainerReply": 6000,
    "DesignerReply": 2200,
    "AnalyzerReply": 3000,
    "ReviewerReply": 3500,
}
ROLES_OF = {
    "generate_hypotheses": {"explainer"},
    "design_experiments": {"designer"},
    "analyze_evidence": {"analyzer"},
    "refine_hypotheses": {"analyzer", "reviewer"},
    "conclude": {"reviewer"},
}
SPENT = BudgetSpent("budget llm_calls=3 of feature 0 is used up")
FAILED = CallFailed("the server answered 500 seven times")
MALFORMED = MalformedReply("three times no JSON")


class Lending:
    """RunServices with a model of the test's own."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    def language_model(self) -> LanguageModel:
        return self.model


def policies_of(model: LanguageModel, **roles: str) -> Policies:
    """The policies that a configuration with these roles gets."""
    config = {
        "subject": {"model": "m", "sae": {"path": "s"}},
        "corpus": {"source": "python-stdlib"},
        "features": [0],
        "policies": {"default": "language_model", **roles},
    }
    return load_policies(parse_config(config), Lending(model))


def investigate(name: str, policies: Policies, **limits: Any) -> ExplainState:
    subject, source = world()
    context = ExplainContext(
        subject=subject,
        source=source,
        policies=policies,
        limits=Limits(**{"rounds": 14, "experiments": 200, "minutes": None, **limits}),
        thresholds=Thresholds(),
        seed=0,
    )
    start = initial_state("run", list(FEATURES).index(name))
    state = build_graph().invoke(start, context=context, config={"recursion_limit": 200})
    return ExplainState(**state)


@cache
def explained(name: str) -> tuple[ExplainState, FakeLanguageModel]:
    """The final state of one feature's investigation by the scripted scientist, made once."""
    model = FakeLanguageModel(scientist)
    return investigate(name, policies_of(model)), model


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_feature_is_explained_at_a_fraction_of_sages_calls(name: str) -> None:
    state, model = explained(name)
    assert state["status"] == "explained"
    assert len(model.paid) <= 12
    assert len(state["experiments"]) >= 3 * 9
    assert all(h.status != "pending" for h in state["hypotheses"])


@pytest.mark.parametrize("name", FEATURES)
def test_prompts_are_short_whatever_the_feature(name: str) -> None:
    _, model = explained(name)
    for question in model.questions:
        written = len(question.prompt.system) + len(question.prompt.user)
        assert written <= CHARACTERS_PER_TOKEN * MOST_TOKENS[question.reply.__name__]
    assert sum(map(len, model.paid)) <= CHARACTERS_PER_TOKEN * MOST_TOKENS_OF_A_FEATURE


@pytest.mark.parametrize("name", FEATURES)
def test_questions_that_wait_for_each_other_are_few(name: str) -> None:
    state, model = explained(name)
    asked: set[str] = set()
    depth = 0
    questions = iter(model.questions)
    for size in model.batches:
        batch = {json.dumps(body_of(q, messages_of(q))) for q in itertools.islice(questions, size)}
        depth += bool(batch - asked)
        asked |= batch
    assert depth <= 2 + 3 * state["round"]


@pytest.mark.parametrize("name", FEATURES)
def test_nodes_that_share_a_reply_ask_exactly_alike(name: str) -> None:
    models = [FakeLanguageModel(scientist) for _ in ROLES]
    investigate(name, Policies(*map(LanguageModelPolicy, models)))
    asked = {
        node: [(q.role, body_of(q, messages_of(q))) for q in model.questions]
        for node, model in zip(ROLES, models, strict=True)
    }
    analyzer, reviewer = (
        [question for question in asked["refine_hypotheses"] if question[0] == role]
        for role in ("analyzer", "reviewer")
    )
    assert analyzer
    assert asked["analyze_evidence"] == analyzer
    assert reviewer
    assert asked["conclude"] == reviewer


def test_the_same_investigation_asks_the_same_and_ends_the_same() -> None:
    state, model = explained("digits")
    again = FakeLanguageModel(scientist)
    other = investigate("digits", policies_of(again))
    assert again.paid == model.paid
    for key in ("hypotheses", "experiments", "observations", "explanation"):
        assert other[key] == state[key]


def test_experiments_borrow_from_the_test_split() -> None:
    _, model = explained("single token")
    dossier = dossier_of("single token")
    proposed = {"".join(e.tokens[e.peak - 2 : e.peak + 3]) for e in dossier.exemplars if e.peak > 1}
    fresh = ["".join(e.tokens) for e in dossier.contexts]
    telling = [text for text in proposed if not any(text in context for context in fresh)]
    assert telling
    shown = [q.prompt.user for q in model.questions if q.reply.__name__ == "DesignerReply"]
    rows = [json.loads(line) for user in shown for line in user.splitlines() if '"band"' in line]
    assert rows
    for row in rows:
        plain = row["text"].replace("«", "").replace("»9", "").replace("»10", "").replace("»8", "")
        assert not any(text in plain for text in telling)


@pytest.mark.parametrize(
    "mix", list(itertools.product(("symbolic", "language_model"), repeat=len(ROLES)))
)
def test_every_mix_of_policies_explains(mix: tuple[str, ...]) -> None:
    model = FakeLanguageModel(scientist)
    roles = dict(zip(ROLES, mix, strict=True))
    state = investigate("broken bytes", policies_of(model, **roles), rounds=2, experiments=40)
    assert state["status"] in ("explained", "undecided", "budget")
    assert state["explanation"] is not None
    asked = {question.role for question in model.questions}
    talking = {node for node, policy in roles.items() if policy == "language_model"}
    assert asked <= set().union(*(ROLES_OF[node] for node in talking))
    for node in talking & {"generate_hypotheses", "design_experiments", "conclude"}:
        assert ROLES_OF[node] <= asked


# A question without an answer.


def after_a_round(**changes: Any) -> Case:
    """H1 came out mixed."""
    dossier = dossier_of("single token")
    results = [
        experiment(dossier, "H1", 1, "you and me", "active"),
        experiment(dossier, "H1", 2, "you or me", "active"),
    ]
    return case_of(hypothesis("H1"), results=results, **changes)


def before_any_round() -> Case:
    return case_of(*map(hypothesis, ("H1", "H2", "H3")))


def policy_that_gets(*outcomes: Any) -> LanguageModelPolicy:
    return LanguageModelPolicy(FakeLanguageModel(*outcomes))


@pytest.mark.parametrize("failure", [SPENT, FAILED, MALFORMED])
@pytest.mark.parametrize(
    "ask",
    [
        lambda policy: policy.generate_hypotheses(dossier_of("digits")),
        lambda policy: policy.conclude(dossier_of("digits"), after_a_round()),
    ],
)
def test_what_cannot_be_done_without_is_raised(
    failure: LanguageModelError, ask: Callable[[LanguageModelPolicy], object]
) -> None:
    with pytest.raises(type(failure)):
        ask(policy_that_gets(failure))


def designed(*outcomes: Any) -> list[Design | Setback]:
    policy = policy_that_gets(*outcomes)
    return policy.design_experiments(dossier_of("single token"), before_any_round(), 60)


def test_a_malformed_design_sets_its_hypothesis_back_alone() -> None:
    answer = designed(scientist, MALFORMED, scientist)
    (setback,) = [item for item in answer if isinstance(item, Setback)]
    assert setback.hypothesis == "H2"
    assert "three times no JSON" in setback.reason
    assert not setback.spent
    assert {d.hypothesis for d in answer if isinstance(d, Design)} == {"H1", "H3"}


def test_a_budget_that_ends_between_designs_keeps_those_that_came() -> None:
    answer = designed(scientist, SPENT)
    setbacks = [item for item in answer if isinstance(item, Setback)]
    assert setbacks == [Setback(hypothesis=h, reason=str(SPENT), spent=True) for h in ("H2", "H3")]
    assert {d.hypothesis for d in answer if isinstance(d, Design)} == {"H1"}
    with pytest.raises(BudgetSpent):
        designed(SPENT)


def test_a_server_that_fails_one_design_fails_the_step_so_that_it_can_be_resumed() -> None:
    with pytest.raises(CallFailed):
        designed(scientist, FAILED, scientist)


def test_without_a_usable_reading_the_counted_facts_stand() -> None:
    dossier, case = dossier_of("single token"), after_a_round()
    facts = counted_facts(dossier, case)
    assert policy_that_gets(MALFORMED).analyze_evidence(dossier, case) == facts
    for failure in (SPENT, FAILED):
        with pytest.raises(type(failure)):
            policy_that_gets(failure).analyze_evidence(dossier, case)


def test_without_a_rewording_the_hypothesis_is_set_back_or_the_budget_is_named() -> None:
    dossier, case = dossier_of("single token"), after_a_round()
    (setback,) = policy_that_gets(MALFORMED).refine_hypotheses(dossier, case)
    assert setback == Setback(hypothesis="H1", reason="it was not reworded: three times no JSON")
    for failure in (SPENT, FAILED):
        with pytest.raises(type(failure)):
            policy_that_gets(failure).refine_hypotheses(dossier, case)


def test_no_words_are_bought_that_cannot_be_tested() -> None:
    dossier, case = dossier_of("single token"), after_a_round(final=True)
    policy = policy_that_gets(FAILED)
    assert policy.analyze_evidence(dossier, case) == counted_facts(dossier, case)
    (setback,) = policy.refine_hypotheses(dossier, case)
    assert isinstance(setback, Setback)
    assert "budget" in setback.reason


def test_no_words_are_bought_where_the_facts_are_plain() -> None:
    dossier = dossier_of("single token")
    results = [
        experiment(dossier, "H1", 1, "you and me", "active"),
        experiment(dossier, "H1", 2, "you or me", "inactive"),
        experiment(dossier, "H2", 3, "you were", "active"),
        experiment(dossier, "H2", 4, "we were", "active"),
    ]
    case = case_of(hypothesis("H1"), hypothesis("H2"), results=results)
    assert [h.status for h in case.hypotheses] == ["confirmed", "refuted"]
    policy = policy_that_gets(FAILED)
    assert policy.analyze_evidence(dossier, case) == counted_facts(dossier, case)
    assert policy.refine_hypotheses(dossier, case.with_open(())) == []


def test_new_ideas_are_asked_for_where_nothing_is_confirmed() -> None:
    dossier = dossier_of("single token")
    results = [
        experiment(dossier, "H1", 1, "you were", "active"),
        experiment(dossier, "H1", 2, "we were", "active"),
    ]
    idea = {"parent": None, "statement": "Fires on ' and'.", "polarity": "active", "rule": None}
    reply = json.dumps({"interpretations": [], "refinements": [idea]})
    policy = policy_that_gets(lambda body: reply)
    case = case_of(hypothesis("H1"), results=results)
    assert case.hypothesis("H1").status == "refuted"
    (found,) = policy.refine_hypotheses(dossier, case.with_open(()))
    assert isinstance(found, Refinement)
    later = [hypothesis(id, round=1, status="refuted") for id in ("H2", "H3")]
    spent = case_of(hypothesis("H1"), *later, results=results, open=())
    assert policy_that_gets(FAILED).refine_hypotheses(dossier, spent) == []


@pytest.mark.parametrize("failure", [SPENT, FAILED])
def test_a_review_that_a_budget_or_server_refuses_is_raised(failure: LanguageModelError) -> None:
    with pytest.raises(type(failure)):
        policy_that_gets(failure).review(dossier_of("digits"), after_a_round())


def test_a_review_without_a_usable_reply_asks_for_nothing() -> None:
    assert policy_that_gets(MALFORMED).review(dossier_of("digits"), after_a_round()) == Review()


@pytest.mark.parametrize("answered", [0, 1, 3, 6, 7])
def test_a_budget_of_calls_ends_with_the_best_so_far(answered: int) -> None:
    model = FakeLanguageModel(*[scientist] * answered, SPENT)
    state = investigate("single token", policies_of(model))
    assert state["status"] == "budget"
    assert (state["explanation"] is None) == (answered == 0)
    assert not [h for h in state["hypotheses"] if h.status == "pending"]
    assert "llm_calls=3" in state["stopped"]
