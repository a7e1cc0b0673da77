"""Kinds of tokens on which a feature fires faintly are said beside what it fires on loudly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphs.policies.symbolic.background import with_background
from graphs.policies.symbolic.evidence import Evidence
from graphs.policies.symbolic.texts import SILENT
from tools.rules import Branch, Rule, TokenIn, Windows

LOUD = Rule((Branch(TokenIn((" fox",)), 1.0),))
WORDS = (" a", " red", " fox", " ran", " 7", " 12", ",", " off")


def evidence_of(strength: Callable[[str], float]) -> Evidence:
    """Forty documents of the same tokens, each in another order."""
    random = np.random.default_rng(0)
    texts = [[WORDS[n] for n in random.permutation(len(WORDS))] for _ in range(40)]
    windows = Windows.of(texts)
    target = np.array([strength(token) for text in texts for token in text])
    source = np.repeat(np.arange(len(texts)), len(WORDS))
    return Evidence(windows, target, np.ones(len(windows)), source)


def test_what_is_faint_everywhere_on_a_kind_of_tokens_is_added() -> None:
    evidence = evidence_of(lambda t: 1.0 if t == " fox" else 0.2 * t.strip().isdigit())
    completed = with_background(LOUD, evidence)
    assert completed.branches[0] == LOUD.branches[0]
    predicted = completed.predict([" fox", " 7", " 12", " red", ","])
    np.testing.assert_allclose(predicted, [1, SILENT, SILENT, 0, 0], atol=1e-6)
    assert evidence.agreement(completed) > evidence.agreement(LOUD)


def test_where_all_else_is_silent_nothing_is_added() -> None:
    assert with_background(LOUD, evidence_of(lambda t: float(t == " fox"))) == LOUD


def test_it_stays_faint_beside_what_the_rule_says() -> None:
    weak = Rule((Branch(TokenIn((" fox",)), 0.2),))
    evidence = evidence_of(lambda t: 0.2 if t == " fox" else 0.19 * t.strip().isdigit())
    added = [b for b in with_background(weak, evidence).branches if b not in weak.branches]
    assert [b.strength for b in added] == [0.02] * len(added)
    assert added


def test_what_one_document_alone_shows_is_chance() -> None:
    evidence = evidence_of(lambda t: float(t == " fox"))
    alone = (evidence.source == 0) & (evidence.windows.coded([evidence.windows.codes[0]]))
    target = np.where(alone, 0.05, evidence.target)
    once = Evidence(evidence.windows, target, evidence.weight, evidence.source)
    assert with_background(LOUD, once) == LOUD
    assert alone.any()
