"""What a checkpoint gives back equals what went in, type by type, under the strict serializer."""

from __future__ import annotations

import logging

import pytest

from graphs.checkpointer import strict_serializer
from graphs.records import (
    RECORD_TYPES,
    Claim,
    Edits,
    Experiment,
    Explanation,
    FeatureScale,
    ForkedFrom,
    Hypothesis,
    NewExperiment,
    Observation,
    Proposal,
    Record,
    Rewording,
)

RULE = {"kind": "any", "branches": [{"tokens": [" import", "ß", "\n"], "strength": 0.25}]}
RECORDS: list[Record] = [
    Hypothesis(
        id="H2",
        statement="fires on ' import'",
        rule=RULE,
        round=1,
        parent="H1",
        status="confirmed",
        supporting=("O1.1", "O1.2"),
        reason="2/2 held",
    ),
    Experiment(
        id="E1.1",
        design="E1",
        hypothesis="H1",
        kind="minimal_pair",
        text="tab\there, émigré, \U0001f600",
        predicted="inactive",
        purpose="",
        round=3,
    ),
    Observation(
        id="O1.1",
        experiment="E1.1",
        hypothesis="H1",
        tokens=("tab", "\t", "\ufffd"),
        activations=(0.0, 0.1, 1e-30),
        max_activation=0.1,
        normalized=0.02,
        outcome="inactive",
        supports=True,
    ),
    Claim(text="fires", shows="active", observations=("O1.1",)),
    Explanation(
        description="d",
        labels=("a", "b"),
        not_on=("c",),
        claims=(Claim(text="fires", shows="active", observations=("O1.1",)),),
        rule=RULE,
        confidence=0.5,
        confidence_basis="basis",
    ),
    FeatureScale(scale=1.5, n_tokens=10, n_active_tokens=2, n_active_windows=1),
    ForkedFrom(
        thread="run-1/3",
        checkpoint="1f0",
        edits=Edits(
            add=(Proposal(statement="fires on tabs", rule=RULE),),
            reword=(Rewording(hypothesis="H2", proposal=Proposal(statement="fires on spaces")),),
            drop=("H1",),
            experiments=(NewExperiment(hypothesis="H5", text="\t", predicted="active"),),
        ),
        settings=("budget.rounds=3",),
    ),
]


def test_every_type_of_the_state_is_here() -> None:
    assert {type(record) for record in RECORDS} == set(RECORD_TYPES)


def test_strict_round_trip(caplog: pytest.LogCaptureFixture) -> None:
    serde = strict_serializer(RECORD_TYPES)
    with caplog.at_level(logging.WARNING):
        for record in RECORDS:
            again = serde.loads_typed(serde.dumps_typed(record))
            assert type(again) is type(record)
            assert again == record
        assert serde.loads_typed(serde.dumps_typed(RECORDS)) == RECORDS
    assert not caplog.records


def test_a_type_that_is_not_allowed_does_not_come_back() -> None:
    serde = strict_serializer(())
    kind, blob = strict_serializer(RECORD_TYPES).dumps_typed(RECORDS[0])
    assert not isinstance(serde.loads_typed((kind, blob)), Hypothesis)
