"""Baselines: what each one makes of a feature, by hand-computed cases, and what it never sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.baselines.baseline import Desk
from evaluation.baselines.max_token import MaxToken
from evaluation.baselines.registry import (
    BASELINES,
    DEFAULT_BASELINES,
    baseline_named,
    baselines_named,
)
from evaluation.baselines.shuffled import Shuffled, derangement
from evaluation.baselines.untested import Untested
from evaluation.measuring import measure
from tests.desks import REPLY, SPENT, Answering, candidate, desk, listed
from tests.fakes import FakeSubject, fake_corpus
from tools.errors import ConfigError
from tools.harvest.harvest import harvest
from tools.harvest.sampling import CorpusSample, Window
from tools.llm.costs import NOTHING_SPENT
from tools.rules import Branch, Rule, TokenIn

RETURN, ANIMALS, MARKS = 0, 6, 7


def test_max_token_takes_the_peak_of_the_strongest_exemplar() -> None:
    found = MaxToken().explain(desk())
    assert listed(found) == {" cat": 1.0}
    assert found.description == "Fires on the token ' cat'."


def test_untested_is_the_first_active_hypothesis_of_round_0() -> None:
    rule = Rule((Branch(TokenIn(("b",)), 0.5),)).to_json()

    def hypothesis(id: str, **changes: Any) -> dict[str, Any]:
        row = {"id": id, "round": 0, "polarity": "active", "statement": id, "rule": rule}
        return {**row, **changes}

    later = hypothesis("H9", round=1)
    rows = [hypothesis("H1", polarity="inactive"), hypothesis("H2"), hypothesis("H10"), later]
    found = Untested().explain(desk(hypotheses=rows, proposing=SPENT))
    assert (found.description, listed(found), found.spent) == ("H2", {"b": 0.5}, SPENT)
    wordy = Untested().explain(desk(hypotheses=[hypothesis("H1", rule=None)]))
    assert (wordy.description, wordy.predictor) == ("H1", None)
    none = Untested().explain(desk(hypotheses=[later], proposing=SPENT))
    assert "no hypothesis" in none.missing
    assert (none.description, none.spent) == (None, SPENT)


@pytest.mark.parametrize("name", ["one_shot", "max_token", "unigram_table", "bigram_table"])
def test_a_feature_that_never_fires_has_no_baseline(name: str) -> None:
    found = BASELINES[name].explain(desk(exemplars=(), scale=0.0))
    assert found.missing == "the feature never fires in the propose split"
    assert (found.explainer, found.description, found.predictor) == (name, None, None)


def test_a_derangement_leaves_nothing_in_its_place() -> None:
    for size in range(2, 12):
        features = [7 * n for n in range(size)]
        found = [derangement(features, seed) for seed in range(20)]
        for pairs in found:
            assert sorted(pairs) == sorted(pairs.values()) == features
            assert all(feature != donor for feature, donor in pairs.items())
        assert found[3] == derangement(reversed(features), 3)
        assert size < 4 or len({tuple(sorted(pairs.items())) for pairs in found}) > 1
    assert derangement([5], 0) == {5: 5}
    assert derangement([], 0) == {}


def test_shuffled_gives_another_features_explanation() -> None:
    agentic = {feature: candidate(feature) for feature in (4, 8, 15, 16)}
    agentic[23] = candidate(23, description=None, predictor=None, content={}, missing="dead")
    found = {f: Shuffled().explain(desk(feature=f, agentic=agentic)) for f in (4, 8, 15, 16)}
    donors = {feature: each.content["from"] for feature, each in found.items()}
    assert donors == derangement([4, 8, 15, 16], 0)
    for feature, each in found.items():
        theirs = agentic[donors[feature]]
        assert (each.explainer, each.feature, each.spent) == ("shuffled", feature, NOTHING_SPENT)
        assert each.description == theirs.description != agentic[feature].description
        assert each.predictor is theirs.predictor
    assert "no explanation" in Shuffled().explain(desk(feature=23, agentic=agentic)).missing
    alone = {4: agentic[4], 23: agentic[23]}
    assert "no other feature" in Shuffled().explain(desk(feature=4, agentic=alone)).missing


def test_shuffled_hangs_on_every_explanation() -> None:
    agentic = {feature: candidate(feature) for feature in (4, 8, 15)}
    recipe = Shuffled().recipe(agentic)
    assert Shuffled().recipe(dict(reversed(agentic.items()))) == recipe
    agentic[15] = candidate(15, description="Fires on something else.")
    assert Shuffled().recipe(agentic) != recipe


def test_baselines_by_name() -> None:
    listed = "one_shot untested max_token shuffled unigram_table bigram_table"
    assert " ".join(DEFAULT_BASELINES) == listed
    for name in DEFAULT_BASELINES:
        assert baseline_named(name, "run", []).name == name
    with pytest.raises(ConfigError, match="'oneshot'; did you mean 'one_shot'.*max_token"):
        baseline_named("oneshot", "run", [])
    with pytest.raises(ConfigError, match="no baseline 'xyzzy'; known: one_shot"):
        baseline_named("xyzzy", "run", [])


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "mine.jsonl" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.write_text('{"feature": 3, "explanation": "Fires on tea."}')
    found = baselines_named(["shuffled", str(paths[0]), "shuffled"], "run", [3])
    assert list(found) == ["shuffled", "file:mine"]
    with pytest.raises(ConfigError, match="'file:mine'; rename one"):
        baselines_named(map(str, paths), "run", [3])


HELD_OUT = "London Paris Monday 7 7 return cat cat dog is None return. Paris"


def desks_of(evaluated: Sequence[str], model: Answering) -> Iterator[Desk]:
    """Desks of three features on a corpus with these documents in its evaluate split."""
    subject, texts = FakeSubject(), fake_corpus(n_documents=24)
    cut: list[Window] = []
    for number, text in enumerate([*texts, *evaluated]):
        split = "evaluate" if number >= len(texts) else ("propose", "test")[number % 2]
        ids = subject.tokenize(text)[:160]
        cut += [Window(str(number), split, n, tuple(ids[n : n + 32])) for n in range(0, 160, 32)]
    sample = CorpusSample(tuple(w for w in cut if w.token_ids), 32, 0, str(len(evaluated)))
    features = [RETURN, ANIMALS, MARKS]
    source, measured = harvest(subject, sample, features), measure(subject, sample, features)
    for feature in features:
        statistics = source.statistics(feature)
        dossier = replace(
            desk().dossier,
            feature=feature,
            statistics=statistics,
            exemplars=source.exemplars(feature, "propose"),
            token_table=source.token_table(feature),
            contexts=source.exemplars(feature, "test"),
        )
        yield desk(
            feature=feature,
            dossier=dossier,
            proposed=measured.feature("propose", feature),
            scale=statistics.scale,
            agentic={feature: candidate(feature) for feature in features},
            model=model,
        )


@pytest.mark.parametrize("policy", ["symbolic", "language_model"])
def test_nothing_of_the_evaluate_split_reaches_a_baseline(policy: str) -> None:
    models = Answering(REPLY), Answering(REPLY)
    plain = desks_of([f"{n} {HELD_OUT}" for n in range(9)], models[0])
    other = desks_of(["the of to is"], models[1])
    for one, two in zip(plain, other, strict=True):
        for name, baseline in BASELINES.items():
            found, expected = (baseline.explain(replace(d, policy=policy)) for d in (one, two))
            assert found.digest == expected.digest, name
            assert not found.missing or name == "untested"
    assert [q.prompt for q in models[0].questions] == [q.prompt for q in models[1].questions]
    assert len(models[0].questions) == (3 if policy == "language_model" else 0)
