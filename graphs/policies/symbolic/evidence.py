"""Labelled tokens: what the corpus and the experiments measured, in one form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphs.policies.protocols import Dossier
from graphs.records import Observation
from tools.exemplars import TokenStatistic
from tools.rules import Condition, Mask, Rule, Windows

Floats = NDArray[np.float64]

PRICE = 0.004
"""The least share of the squared activation that one more condition or token must explain."""
CHANCE = 0.2
"""What a condition explains by chance, in tokens of full strength."""
HEAVIEST = 8.0
"""Most that one token may count, in tokens: rare silent occurrences stand for many unseen ones."""
OBSERVED = 2.0
"""Weight of a token in an experiment: experiments are few, and made where rivals disagree."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Tokens with their measured activation in units of the feature's scale."""

    windows: Windows
    target: Floats
    """Shape (n_tokens,), in [0, 1]."""
    weight: Floats
    """Shape (n_tokens,)."""
    source: NDArray[np.int64]
    """Shape (n_tokens,): number of the document or experiment that the token is from."""

    @property
    def price(self) -> float:
        """Share of the squared activation that one more condition or token must explain.

        What few loud tokens have in common is soon found and seldom means much.
        """
        return PRICE + CHANCE / max(self.mass, 1.0)

    @property
    def halves(self) -> tuple[Floats, Floats]:
        """The weights of every other source and of the rest: what holds in one alone is chance."""
        odd = self.source % 2 == 1
        return self.weight * odd, self.weight * ~odd

    @property
    def mass(self) -> float:
        """Weighted sum of squared activation: the error of predicting nothing at all."""
        return float(self.weight @ self.target**2)

    def mean(self, mask: Mask | NDArray[np.intp]) -> float:
        """Weighted mean activation of the tokens chosen; 0 when there are none."""
        return weighted_mean(self.weight[mask], self.target[mask])

    def strength(self, condition: Condition) -> float:
        """Mean activation of the tokens that meet a condition."""
        return self.mean(condition.mask(self.windows))

    def error(self, predicted: NDArray[np.floating]) -> float:
        """Weighted sum of squared differences."""
        return float(self.weight @ (self.target - predicted) ** 2)

    def explained(self, rule: Rule) -> float:
        """Share of the squared activation that a rule accounts for; negative if it misleads."""
        return 1.0 - self.error(rule.predict_windows(self.windows)) / (self.mass or 1.0)

    def agreement(self, rule: Rule) -> float:
        """Weighted Pearson correlation of a rule's predictions with what was measured."""
        return correlation(rule.predict_windows(self.windows), self.target, self.weight)


def weighted_mean(weight: Floats, values: Floats) -> float:
    """The mean; 0 without any weight."""
    total = float(weight.sum())
    return float(weight @ values) / total if total else 0.0


def correlation(left: NDArray[np.floating], right: NDArray[np.floating], weight: Floats) -> float:
    """Weighted Pearson correlation; 0 when one side is constant."""
    total = float(weight.sum())
    if not total:
        return 0.0
    a = left - float(weight @ left) / total
    b = right - float(weight @ right) / total
    spread = float(weight @ a**2) * float(weight @ b**2)
    return float(weight @ (a * b)) / spread**0.5 if spread > 0 else 0.0


def corpus_evidence(dossier: Dossier) -> Evidence:
    """The propose split's windows, weighted so that tokens are silent as often as in the corpus."""
    scale = dossier.statistics.scale or 1.0
    windows = Windows.of([exemplar.tokens for exemplar in dossier.exemplars])
    activations = [np.asarray(exemplar.activations) for exemplar in dossier.exemplars]
    target = _normalized(activations, scale)
    documents: dict[str, int] = {}
    numbers = [documents.setdefault(e.document, len(documents)) for e in dossier.exemplars]
    source = np.repeat(np.asarray(numbers, np.int64), [len(e.tokens) for e in dossier.exemplars])
    return Evidence(windows, target, _weights(windows, target, dossier.token_table), source)


def observed_evidence(dossier: Dossier, observations: Iterable[Observation]) -> Evidence:
    """What the experiments measured, each text once."""
    scale = dossier.statistics.scale or 1.0
    texts = {observation.tokens: observation.activations for observation in observations}
    windows = Windows.of(texts)
    target = _normalized([np.asarray(activations) for activations in texts.values()], scale)
    # One source: texts made from the same contexts must not vouch for each other.
    source = np.full(len(windows), -1, dtype=np.int64)
    return Evidence(windows, target, np.full(len(windows), OBSERVED), source)


def joined(first: Evidence, second: Evidence) -> Evidence:
    """Both bodies of evidence as one."""
    return Evidence(
        first.windows.followed_by(second.windows),
        np.concatenate([first.target, second.target]),
        np.concatenate([first.weight, second.weight]),
        np.concatenate([first.source, second.source]),
    )


def all_evidence(dossier: Dossier, observations: Sequence[Observation]) -> Evidence:
    """Corpus and experiments together."""
    return joined(corpus_evidence(dossier), observed_evidence(dossier, observations))


def _normalized(activations: Sequence[NDArray[np.floating]], scale: float) -> Floats:
    if not activations:
        return np.zeros(0)
    return np.clip(np.concatenate(activations).astype(np.float64) / scale, 0.0, 1.0)


def _weights(windows: Windows, target: Floats, table: Sequence[TokenStatistic]) -> Floats:
    """Windows were kept because they fire: a trigger's silent occurrences must count for more.

    For each token of the table, silent occurrences are weighted so that its rate of firing among
    the windows is the rate in the whole propose split.
    """
    weight = np.ones(len(windows))
    fires = target > 0
    size = len(windows.vocabulary)
    active = np.bincount(windows.codes[fires], minlength=size)
    silent = np.bincount(windows.codes[~fires], minlength=size)
    codes = {surface: code for code, surface in enumerate(windows.vocabulary)}
    factors = np.ones(size)
    for row in table:
        code = codes.get(row.token)
        if code is not None and active[code] and silent[code] and row.n_active:
            rate = (row.n_present - row.n_active) / row.n_active
            factors[code] = np.clip(rate * active[code] / silent[code], 1 / HEAVIEST, HEAVIEST)
    weight[~fires] = factors[windows.codes[~fires]]
    return weight
