"""The symbolic policy finds what was planted: features of known meaning, through the graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b

import numpy as np
import pytest
from numpy.typing import NDArray

from graphs.context import ExplainContext, Limits, Policies
from graphs.explain import build_graph
from graphs.policies.protocols import Dossier, Thresholds
from graphs.policies.symbolic import SymbolicPolicy
from graphs.records import Explanation, Proposal
from graphs.state import ExplainState, initial_state
from tools.activations import SubjectInfo, TextActivations
from tools.harvest.harvest import Harvest, harvest
from tools.harvest.sampling import CorpusSample, Window
from tools.rules import Branch, Rule, TokenIn, rule_from_json

Truth = Callable[[Sequence[str], int], float]
"""How strongly a feature should fire on one token of a text, in [0, 1]."""

NOUNS = (
    "cat",
    "dog",
    "river",
    "house",
    "London",
    "Paris",
    "Monday",
    "table",
    "engine",
    "garden",
    "Alice",
    "Robert",
    "window",
)
VERBS = (
    "running",
    "walk",
    "singing",
    "jump",
    "reading",
    "write",
    "building",
    "open",
    "thinking",
    "close",
)
NAMES = ("value", "index", "name", "key", "item", "result", "total", "data", "path", "count")
LINE = {
    "import": "import {name}\n",
    "from": "from {name} import {name}\n",
    "if": "if {name} is not None:\n    return {name} + {number}\n",
    "for": "for {name} in {name}:\n        {name} = {name}({number}, {name})\n",
    "while": "while not {name}:\n    print({name})\n",
    "def": "def {name}(self, {name}):\n    self.{name} = {name}\n",
    "call": "{name}({number})\n",
    "raise": "raise ValueError({name})\n",
    "text": "The {noun} and the {noun} keep {verb} near {noun}, {number} times.\n",
    "prose": "# When {noun} was {verb}, the {noun} liked it as a {noun}.\n",
}
GRADES = {"if": 1.0, "while": 0.9, "for": 0.55, "raise": 0.3}


def after(token: str, trigger: str) -> Truth:
    return lambda tokens, i: float(i > 0 and tokens[i] == trigger and tokens[i - 1] == token)


def matching(pattern: str, strength: float = 1.0) -> Truth:
    compiled = re.compile(pattern)
    return lambda tokens, i: strength * bool(compiled.fullmatch(tokens[i]))


def call_but_not_print(tokens: Sequence[str], i: int) -> float:
    return float(tokens[i] == "(" and (i == 0 or tokens[i - 1] != "print"))


PLANTED: dict[str, Truth] = {
    "single token": matching(" and"),
    "graded set": lambda tokens, i: GRADES.get(tokens[i].strip(), 0.0),
    "after a token": after(" is", " not"),
    "digits": matching(r" ?\d"),
    "capitalised": matching(" ?[A-Z][a-z]+"),
    "indentation": matching("\n {4,}"),
    "suffix": matching(r" ?\w+ing"),
    "two meanings": lambda t, i: matching(" None")(t, i) + matching(" ?[Tt]he", 0.8)(t, i),
    "exception": call_but_not_print,
}
LEARNED: dict[str, Truth] = {
    "class after a token": lambda t, i: matching(" ?[A-Za-z]+")(t, i) * (i > 0 and t[i - 1] == "("),
    "class but for two": matching(r" ?[2-9]"),
    "words at the start": lambda t, i: matching(" ?[A-Za-z]+")(t, i) * (i < 5),
}
"""What a first look at the corpus leaves open: experiments have to show it."""
HARD: dict[str, Truth] = {
    "everywhere": lambda tokens, i: 1.0,
    "first token": lambda tokens, i: float(i == 0),
    "broken bytes": matching("\ufffd"),
    "whitespace only": matching(r"\s+"),
}
FEATURES = PLANTED | LEARNED | HARD
MISLEADING = "Fires on the tokens ' liked', ' as' and 'from'."


class PlantedSubject:
    """Words, spaces and marks as tokens; features are the planted functions with a little noise."""

    window_size = 48
    pattern = re.compile(r"\n *| ?[A-Za-z]+| ?\d| ?[^\sA-Za-z\d]|\s")

    def __init__(self) -> None:
        self.vocabulary: list[str] = []
        self.ids: dict[str, int] = {}

    @property
    def info(self) -> SubjectInfo:
        return SubjectInfo("m", "s", "standard", "h", len(FEATURES), 49, True, 100, "planted")

    def tokenize(self, text: str) -> list[int]:
        found = self.pattern.findall(text)
        self.vocabulary += [t for t in dict.fromkeys(found) if t not in self.ids]
        self.ids.update((t, i) for i, t in enumerate(self.vocabulary))
        return [self.ids[token] for token in found]

    def surfaces(self, token_ids: Sequence[int]) -> list[str]:
        return [self.vocabulary[token] for token in token_ids]

    def activations(self, texts: Sequence[str], features: Sequence[int]) -> list[TextActivations]:
        windows = [self.tokenize(text) for text in texts]
        encoded = self.encode_windows(windows, features)
        return [
            TextActivations(text, tuple(ids), tuple(self.surfaces(ids)), values)
            for text, ids, values in zip(texts, windows, encoded, strict=True)
        ]

    def encode_windows(
        self, windows: Sequence[Sequence[int]], features: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        truths = [list(FEATURES.values())[feature] for feature in features]
        texts = [self.surfaces(window) for window in windows]
        return [
            np.array([[7 * noisy(truth, t, i) for truth in truths] for i in range(len(t))], "f4")
            for t in texts
        ]


def noisy(truth: Truth, tokens: Sequence[str], i: int) -> float:
    strength = truth(tokens, i)
    digest = blake2b("\0".join(tokens[max(0, i - 3) : i + 1]).encode(), digest_size=1).digest()
    return strength * (0.75 + 0.25 * digest[0] / 255)


def planted_text(random: np.random.Generator) -> str:
    def line(kind: str) -> str:
        return re.sub(r"{(\w+)}", lambda match: str(random.choice(words[match[1]])), LINE[kind])

    words = {"noun": NOUNS, "verb": VERBS, "name": NAMES, "number": list("0123456789")}
    text = "".join(line(kind) for kind in random.choice(list(LINE), size=8))
    return text + "caf\ufffd\n" * int(random.integers(12) == 0)


@cache
def world() -> tuple[PlantedSubject, Harvest]:
    """The subject and what a corpus of 160 documents says of every feature."""
    subject, random = PlantedSubject(), np.random.default_rng(5)
    windows: list[Window] = []
    for number in range(160):
        ids = subject.tokenize(planted_text(random))
        split = ("propose", "test", "propose", "evaluate")[number % 4]
        for begin in range(0, len(ids), 48):
            windows.append(Window(f"d{number}", split, begin, tuple(ids[begin : begin + 48])))
    sample = CorpusSample(tuple(windows), 48, 0, "planted")
    return subject, harvest(subject, sample, range(len(FEATURES)))


@cache
def explained(name: str) -> ExplainState:
    """The final state of one feature's investigation, made once."""
    return investigate(name)


def investigate(
    name: str, seed: int = 0, policy_type: type[SymbolicPolicy] = SymbolicPolicy
) -> ExplainState:
    """The final state of one feature's investigation."""
    start = initial_state("run", list(FEATURES).index(name))
    context = context_of(policy_type(), seed)
    state = build_graph().invoke(start, context=context, config={"recursion_limit": 200})
    return ExplainState(**state)


def context_of(policy: SymbolicPolicy, seed: int = 0) -> ExplainContext:
    subject, source = world()
    return ExplainContext(
        subject=subject,
        source=source,
        policies=Policies(policy, policy, policy, policy, policy),
        limits=Limits(rounds=14, experiments=200, minutes=None),
        thresholds=Thresholds(),
        seed=seed,
    )


def explanation_of(name: str) -> Explanation:
    explanation = explained(name)["explanation"]
    assert explanation is not None
    return explanation


def held_out_agreement(name: str) -> float:
    """Correlation of the concluded rule with the truth on text that no step has seen."""
    random = np.random.default_rng(99)
    subject = world()[0]
    rule = rule_from_json(explanation_of(name).rule)
    predicted: list[float] = []
    true: list[float] = []
    for _ in range(80):
        tokens = subject.surfaces(subject.tokenize(planted_text(random)))
        predicted += rule.predict(tokens).tolist()
        true += [FEATURES[name](tokens, i) for i in range(len(tokens))]
    return float(np.corrcoef(predicted, true)[0, 1])


@pytest.mark.parametrize("name", PLANTED | LEARNED)
def test_the_planted_meaning_is_recovered_on_held_out_text(name: str) -> None:
    assert held_out_agreement(name) > 0.95
    assert explained(name)["status"] == "explained"


@pytest.mark.parametrize("name", HARD)
def test_hard_cases_are_explained_in_words(name: str) -> None:
    explanation = explanation_of(name)
    assert explanation.description.isprintable()
    assert explanation.description.endswith(".")
    assert len(explanation.description.split()) <= 60
    assert all(label.isprintable() for label in explanation.labels)


@pytest.mark.parametrize("name", FEATURES)
def test_rivals_are_proposed_tested_and_told_apart(name: str) -> None:
    state = explained(name)
    first = [h for h in state["hypotheses"] if h.round == 0]
    assert len(first) >= 4
    assert len({h.statement for h in first}) == len(first)
    assert any(h.polarity == "inactive" for h in first)
    assert all(h.status != "pending" for h in state["hypotheses"])
    assert len({str(h.rule) for h in state["hypotheses"]}) == len(state["hypotheses"])


class Misled(SymbolicPolicy):
    """Proposes something plausible and wrong besides."""

    def generate_hypotheses(self, dossier: Dossier) -> list[Proposal]:
        rule = Rule((Branch(TokenIn((" liked", " as", "from")), 1.0),))
        wrong = Proposal(statement=MISLEADING, rule=rule.to_json())
        return [*super().generate_hypotheses(dossier), wrong]


@pytest.mark.parametrize("name", PLANTED)
def test_a_misleading_hypothesis_is_refuted(name: str) -> None:
    hypotheses = investigate(name, policy_type=Misled)["hypotheses"]
    assert next(h for h in hypotheses if h.statement == MISLEADING).status == "refuted"


@pytest.mark.parametrize("name", FEATURES)
def test_claims_cite_observations_that_support_them(name: str) -> None:
    state = explained(name)
    known = {observation.id: observation for observation in state["observations"]}
    for claim in explanation_of(name).claims:
        assert claim.observations
        assert all(known[id].supports for id in claim.observations)


@pytest.mark.parametrize("name", FEATURES)
def test_both_predictions_are_tested_and_no_text_twice(name: str) -> None:
    experiments = explained(name)["experiments"]
    keys = [(experiment.hypothesis, experiment.text) for experiment in experiments]
    assert len(keys) == len(set(keys))
    assert {experiment.predicted for experiment in experiments} >= {"active"}
    if name != "everywhere":
        assert {experiment.predicted for experiment in experiments} == {"active", "inactive"}


def test_the_same_seed_gives_the_same_investigation() -> None:
    again = investigate("after a token")
    for key in ("hypotheses", "experiments", "observations", "explanation"):
        assert again[key] == explained("after a token")[key]


def test_another_seed_tests_other_texts() -> None:
    other = investigate("after a token", seed=1)["experiments"]
    assert {e.text for e in other} != {e.text for e in explained("after a token")["experiments"]}


def test_a_word_says_the_exception() -> None:
    assert "'print'" in explanation_of("exception").description


def test_unrelated_meanings_get_a_label_each() -> None:
    assert len(explanation_of("two meanings").labels) >= 2
