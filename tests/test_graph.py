"""The loop: what it decides from measurements, what it refuses, and when it ends."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from graphs.checkpointer import strict_serializer
from graphs.config import ROLES, parse_config
from graphs.context import ExplainContext, Limits, Policies, case_of
from graphs.explain import build_graph
from graphs.nodes.design_experiments import design_experiments
from graphs.nodes.generate_hypotheses import number
from graphs.nodes.run_experiments import run_experiments
from graphs.policies.protocols import Thresholds
from graphs.policies.registry import load_policies
from graphs.policies.symbolic import SymbolicPolicy
from graphs.records import (
    RECORD_TYPES,
    Claim,
    Conclusion,
    Design,
    Hypothesis,
    Refinement,
    Review,
    Setback,
    Trial,
)
from graphs.state import ExplainState, initial_state
from tests import policies
from tests.fakes import FakeSubject, Planted, fake_corpus
from tests.policies import FIRING, ScriptedPolicy
from tools.corpus import CorpusSpec
from tools.errors import EvidenceError, MalformedReply, PolicyError, RuleError
from tools.exemplars import Exemplar, Split
from tools.harvest.harvest import Harvest, harvest
from tools.harvest.sampling import sample_corpus
from tools.llm.language_model import LanguageModel

RETURN, DEAD, RARE = 0, 1, 2


def only_at_the_start_of_document_3(tokens: Sequence[str]) -> list[float]:
    return [float(list(tokens[: n + 1]) == ["3", ":"]) for n in range(len(tokens))]


@pytest.fixture(scope="module")
def subject() -> FakeSubject:
    return FakeSubject(
        features=(
            Planted("return", lambda tokens: [4.0 * (t.strip() == "return") for t in tokens]),
            Planted("dead", lambda tokens: [0.0] * len(tokens)),
            Planted(
                "rare",
                lambda tokens: [
                    float(list(tokens[: n + 1]) == ["3", ":"]) for n in range(len(tokens))
                ],
            ),
        )
    )


@pytest.fixture(scope="module")
def measured(subject: FakeSubject, tmp_path_factory: pytest.TempPathFactory) -> Harvest:
    folder: Path = tmp_path_factory.mktemp("corpus")
    (folder / "corpus.txt").write_text("\n\n\n".join(fake_corpus(n_documents=40)))
    spec = CorpusSpec(str(folder / "corpus.txt"), max_tokens=20_000)
    return harvest(subject, sample_corpus(subject, spec, 0), [RETURN, DEAD, RARE])


@dataclass
class Watched:
    """An ExemplarSource that notes which splits were asked for."""

    source: Harvest
    splits: set[Split]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def exemplars(self, feature: int, split: Split) -> list[Exemplar]:
        self.splits.add(split)
        return list(self.source.exemplars(feature, split))


class NoServices:
    """The RunServices of a run whose policies need none."""

    def language_model(self) -> LanguageModel:
        raise AssertionError("nobody asks for a language model")


MakeContext = Callable[..., ExplainContext]


@pytest.fixture
def make_context(subject: FakeSubject, measured: Harvest) -> MakeContext:
    def make(policy: object = None, **limits: Any) -> ExplainContext:
        policy = policy or ScriptedPolicy()
        return ExplainContext(
            subject=subject,
            source=Watched(measured, set()),
            policies=Policies(**dict.fromkeys(ROLES, policy)),
            limits=Limits(**{"rounds": 14, "experiments": 200, "minutes": None, **limits}),
            thresholds=Thresholds(),
            seed=0,
        )

    return make


def explain(context: ExplainContext, feature: int = RETURN) -> ExplainState:
    saver = InMemorySaver(serde=strict_serializer(RECORD_TYPES))
    config = {"configurable": {"thread_id": f"run/{feature}"}, "recursion_limit": 200}
    graph = build_graph(saver)
    graph.invoke(initial_state("run", feature), config, context=context)
    return graph.get_state(config).values  # type: ignore[return-value]


def by_id(state: ExplainState) -> dict[str, Hypothesis]:
    return {hypothesis.id: hypothesis for hypothesis in state["hypotheses"]}


def test_right_hypotheses_are_confirmed_and_wrong_ones_refuted(make_context: MakeContext) -> None:
    state = explain(make_context())
    found = by_id(state)
    assert {id: h.status for id, h in found.items()} == {
        "H1": "confirmed",
        "H2": "refuted",
        "H3": "refuted",
        "H4": "confirmed",
    }
    assert len(found["H2"].contradicting) == 3
    assert found["H1"].interpretation == "about H1"
    assert state["status"] == "explained"
    assert state["explanation"] is not None
    assert "return" in state["explanation"].description


def test_every_number_is_the_subjects(make_context: MakeContext, subject: FakeSubject) -> None:
    state = explain(make_context())
    texts = {experiment.id: experiment.text for experiment in state["experiments"]}
    assert state["scale"] is not None
    assert state["scale"].scale == 4.0
    for observation in state["observations"]:
        again = subject.activations([texts[observation.experiment]], [RETURN])[0]
        assert observation.tokens == again.tokens
        assert observation.max_activation == again.activations.max()
        assert observation.normalized == observation.max_activation / 4.0


def test_all_texts_of_a_round_are_one_forward_pass(
    make_context: MakeContext, subject: FakeSubject
) -> None:
    before = subject.forward_passes
    state = explain(make_context())
    assert state["round"] == 1
    assert subject.forward_passes - before == state["forward_passes"] == 1
    assert len(state["observations"]) == len(state["experiments"]) == 10


def test_the_evaluate_split_is_never_read(make_context: MakeContext) -> None:
    context = make_context()
    explain(context)
    assert context.source.splits == {"propose", "test"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("feature", "status"), [(DEAD, "dead"), (RARE, "too_rare")])
def test_nothing_is_invented_for_a_feature_that_hardly_fires(
    make_context: MakeContext, feature: int, status: str
) -> None:
    state = explain(make_context(), feature)
    assert state["status"] == status
    assert state["explanation"] is None
    assert state["hypotheses"] == state["experiments"] == []
    assert state["scale"] is not None
    assert (state["scale"].n_active_tokens == 0) == (status == "dead")


def test_a_claim_without_evidence_is_refused(make_context: MakeContext) -> None:
    with pytest.raises(EvidenceError, match=r"O99\.1"):
        explain(make_context(policies.Overclaiming()))


def test_a_claim_against_its_evidence_is_refused(make_context: MakeContext) -> None:
    with pytest.raises(EvidenceError, match="came out otherwise"):
        explain(make_context(policies.Twisting()))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Broken", r"failed in design_experiments \(policies\.py, line \d+\): .*oops"),
        ("Mumbling", "a list of Proposal is expected"),
        ("Rambling", r"gave a text of \d+ tokens for H1; 1 to 32 fit"),
    ],
)
def test_a_policys_own_failure_is_one_sentence(
    make_context: MakeContext, name: str, message: str
) -> None:
    config = parse_config({**CONFIG, "policies": {"default": f"tests.policies:{name}"}})
    with pytest.raises(PolicyError, match=message):
        explain(replace(make_context(), policies=load_policies(config, NoServices())))


def test_a_rule_that_cannot_be_executed_is_refused(make_context: MakeContext) -> None:
    with pytest.raises(RuleError):
        explain(make_context(policies.Gibberish()))


def test_one_idea_is_not_enough(make_context: MakeContext) -> None:
    with pytest.raises(PolicyError, match="at least 4 rivals"):
        explain(make_context(policies.OneIdea()))


def test_one_hypothesis_must_say_what_does_not_fire(make_context: MakeContext) -> None:
    class Positive(ScriptedPolicy):
        def generate_hypotheses(self, dossier: Any) -> Any:
            return [p.model_copy(update={"polarity": "active"}) for p in policies.PROPOSALS]

    with pytest.raises(PolicyError, match="does NOT fire"):
        explain(make_context(Positive()))


@pytest.mark.parametrize("limits", [{"rounds": 2}, {"experiments": 10}, {"minutes": 1e-9}])
def test_a_spent_budget_concludes_with_the_best_so_far(
    make_context: MakeContext, limits: dict[str, Any]
) -> None:
    state = explain(make_context(policies.Insatiable(), **limits))
    assert state["status"] == "budget"
    assert state["explanation"] is not None
    assert not [h for h in state["hypotheses"] if h.status == "pending"]
    assert [h for h in state["hypotheses"] if h.status == "undecided"]
    assert state["round"] <= limits.get("rounds", 2)
    assert len(state["experiments"]) <= limits.get("experiments", 200)


@pytest.mark.parametrize("room", range(1, 10))
def test_a_budget_that_cuts_a_round_short_is_named(make_context: MakeContext, room: int) -> None:
    state = explain(make_context(experiments=room))
    assert len(state["experiments"]) == room
    assert state["status"] == "budget"
    cut = [h for h in state["hypotheses"] if h.status == "undecided"]
    assert cut
    assert all("budget ran out" in h.reason for h in cut if h.tests < 2)
    assert state["explanation"] is not None
    confirmed = [h for h in state["hypotheses"] if h.status == "confirmed"]
    assert (state["explanation"].confidence is None) == (not confirmed)


def test_a_child_is_tested_on_texts_that_it_was_not_fitted_to(make_context: MakeContext) -> None:
    class Rewording(ScriptedPolicy):
        def design_experiments(self, dossier: Any, case: Any, room: int) -> Any:
            texts = ["return 1", "2 return"] if case.round == 0 else ["return 1", "no return"]
            trials = (
                Trial(text=texts[0], predicted="active"),
                Trial(text=texts[1], predicted="inactive"),
            )
            return [Design(hypothesis=id, kind="positive", trials=trials) for id in case.open]

        def refine_hypotheses(self, dossier: Any, case: Any) -> Any:
            child = policies.PROPOSALS[0].model_copy(update={"statement": "reworded"})
            return [Refinement(proposal=child, parent="H1")] if case.round == 1 else []

    state = explain(make_context(Rewording()))
    child = by_id(state)["H5"]
    assert child.parent == "H1"
    texts = [e.text for e in state["experiments"] if e.hypothesis == "H5"]
    assert texts == ["no return"]


def test_a_review_may_ask_for_more_three_times(make_context: MakeContext) -> None:
    class Doubting(ScriptedPolicy):
        def design_experiments(self, dossier: Any, case: Any, room: int) -> Any:
            trial = Trial(text=f"return {case.round}", predicted="active")
            more = [Design(hypothesis=id, kind="positive", trials=(trial,)) for id in case.open]
            return more if case.reviews else super().design_experiments(dossier, case, room)

        def review(self, dossier: Any, case: Any) -> Any:
            return Review(requests=("H1",))

    state = explain(make_context(Doubting()))
    assert state["reviews"] == 3
    assert len(by_id(state)["H1"].supporting) == len(FIRING) + 3
    assert state["status"] == "explained"


def test_a_text_is_not_tested_twice_for_one_hypothesis(make_context: MakeContext) -> None:
    class Repeating(ScriptedPolicy):
        def design_experiments(self, dossier: Any, case: Any, room: int) -> Any:
            trials = (Trial(text="1 2", predicted="active"),) * 2
            return [Design(hypothesis=id, kind="positive", trials=trials) for id in case.open]

    state = explain(make_context(Repeating()))
    assert len(state["experiments"]) == 4
    # One test each is too few to decide, and nothing new was proposed.
    assert {h.status for h in state["hypotheses"]} == {"undecided"}
    assert state["status"] == "undecided"


def test_nodes_leave_the_state_as_it_was(make_context: MakeContext) -> None:
    @dataclass
    class Handed:
        context: ExplainContext

    state = explain(make_context(), RETURN)
    state = {**state, "requests": ("H1",), "observations": []}
    before = copy.deepcopy(state)
    for node in (design_experiments, run_experiments):
        node(state, Handed(make_context()))  # type: ignore[arg-type]
    assert state == before


@pytest.fixture
def calls() -> Iterator[list[str]]:
    policies.Recording.calls.clear()
    yield policies.Recording.calls
    policies.Recording.calls.clear()


@pytest.mark.parametrize("role", ROLES)
def test_swapping_one_role_changes_nothing_else(
    role: str, calls: list[str], make_context: MakeContext
) -> None:
    swapped = {"default": "tests.policies:ScriptedPolicy", role: "tests.policies:Recording"}
    chosen = load_policies(parse_config({**CONFIG, "policies": swapped}), NoServices())
    calls.clear()
    state = explain(replace(make_context(), policies=chosen))
    assert set(calls) <= {role, "review"}
    assert role in calls
    assert state["status"] == "explained"


@pytest.mark.parametrize("role", ROLES)
def test_each_role_mixes_with_the_symbolic_policy(role: str, make_context: MakeContext) -> None:
    mixed = {"default": "symbolic", role: "tests.policies:ScriptedPolicy"}
    chosen = load_policies(parse_config({**CONFIG, "policies": mixed}), NoServices())
    state = explain(replace(make_context(), policies=chosen))
    assert state["status"] in ("explained", "undecided", "budget")
    assert state["explanation"] is not None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("symbolik", "unknown policy 'symbolik'"),
        ("no.such.module:Policy", "cannot be imported"),
        ("tests.policies:Nobody", "no policy 'Nobody'"),
        ("tests.policies:NotAPolicy", "cannot take the role generate_hypotheses"),
        ("tests.policies:NeedsArguments", "cannot be made"),
    ],
)
def test_a_bad_policy_name_is_refused(name: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        load_policies(parse_config({**CONFIG, "policies": {"default": name}}), NoServices())


CONFIG = {
    "subject": {"model": "m", "sae": {"path": "s"}},
    "corpus": {"source": "python-stdlib"},
    "features": [0],
}


def test_symbolic_experiments_borrow_from_the_test_split_alone(make_context: MakeContext) -> None:
    policy = SymbolicPolicy()
    dossier = make_context(policy).dossier(RETURN)
    proposals = policy.generate_hypotheses(dossier)
    state = initial_state("run", RETURN)
    case = case_of(
        {**state, "hypotheses": number(proposals, first=1, round=0)},
        Limits(rounds=14, experiments=200, minutes=None),
    )
    designs = policy.design_experiments(dossier, case, 100)
    without = replace(dossier, exemplars=())
    assert designs == policy.design_experiments(without, case, 100)
    # Where the test split holds nothing that fires, triggers are put into its silent texts.
    silent = [context for context in dossier.contexts if context.band == "random"]
    for designed in (
        designs,
        policy.design_experiments(replace(dossier, contexts=silent), case, 100),
    ):
        predicted = {t.predicted for d in designed if d.hypothesis == "H1" for t in d.trials}
        assert predicted == {"active", "inactive"}


@pytest.mark.parametrize(
    ("method", "known"),
    [
        ("generate_hypotheses", 0),
        ("design_experiments", 4),
        ("analyze_evidence", 4),
        ("refine_hypotheses", 4),
        ("review", 4),
        ("conclude", 4),
    ],
)
def test_a_spent_budget_ends_with_the_best_so_far(
    make_context: MakeContext, method: str, known: int
) -> None:
    state = explain(make_context(policies.Spent(method)))
    assert state["status"] == "budget"
    assert "llm_calls=3" in state["stopped"]
    assert len(state["hypotheses"]) == known
    explanation = state["explanation"]
    if method == "generate_hypotheses":
        assert explanation is None
    elif method == "design_experiments":
        assert explanation is not None
        assert {h.status for h in state["hypotheses"]} == {"undecided"}
        assert explanation.claims == ()
    else:
        # Worded from the measurements: the budget may cost words, not evidence.
        assert explanation is not None
        assert "return" in explanation.description
        assert explanation.claims[0].observations == by_id(state)["H1"].supporting


def test_what_a_budget_still_allowed_is_measured(make_context: MakeContext) -> None:
    class CutShort(ScriptedPolicy):
        def design_experiments(self, dossier: Any, case: Any, room: int) -> Any:
            designs = super().design_experiments(dossier, case, room)
            refused = Setback(hypothesis="H2", reason="budget usd=1 is used up", spent=True)
            return [*(d for d in designs if d.hypothesis != "H2"), refused]

    state = explain(make_context(CutShort()))
    assert (state["status"], state["stopped"]) == ("budget", "budget usd=1 is used up")
    assert len(state["observations"]) == len(state["experiments"]) > 0
    assert by_id(state)["H1"].status == "confirmed"
    assert by_id(state)["H2"].status == "undecided"
    assert state["reviews"] == 0


def test_a_refuted_rival_that_is_cited_costs_no_confidence(make_context: MakeContext) -> None:
    class Thorough(ScriptedPolicy):
        def conclude(self, dossier: Any, case: Any) -> Conclusion:
            conclusion = super().conclude(dossier, case)
            against = case.hypothesis("H2").contradicting
            claim = Claim(text="Animals leave it cold.", shows="inactive", observations=against)
            return conclusion.model_copy(update={"claims": (*conclusion.claims, claim)})

    plain, thorough = (explain(make_context(p())) for p in (ScriptedPolicy, Thorough))
    assert plain["explanation"] is not None
    assert thorough["explanation"] is not None
    assert len(thorough["explanation"].claims) == len(plain["explanation"].claims) + 1
    assert thorough["explanation"].confidence == plain["explanation"].confidence


def test_without_usable_words_the_measurements_speak(make_context: MakeContext) -> None:
    class Speechless(ScriptedPolicy):
        def conclude(self, dossier: Any, case: Any) -> Conclusion:
            raise MalformedReply("m gave reviewer no usable reply, asked 3 times")

    state = explain(make_context(Speechless()))
    assert state["status"] == "explained"
    assert state["explanation"] is not None
    assert "return" in state["explanation"].description
    assert "worded from the measurements: m gave" in state["explanation"].confidence_basis


def test_why_a_policy_gives_up_is_kept_with_the_hypothesis(make_context: MakeContext) -> None:
    class HalfHearted(ScriptedPolicy):
        def design_experiments(self, dossier: Any, case: Any, room: int) -> Any:
            designs = super().design_experiments(dossier, case, room)
            setback = Setback(hypothesis="H2", reason="no usable reply came")
            return [*(d for d in designs if d.hypothesis != "H2"), setback]

    found = by_id(explain(make_context(HalfHearted())))
    assert (found["H2"].status, found["H2"].reason) == ("undecided", "no usable reply came")
    assert found["H1"].status == "confirmed"
