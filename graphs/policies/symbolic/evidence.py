"""Labelled tokens: what the corpus and the experiments measured, in one form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphs.policies.protocols import Dossier
from graphs.policies.symbolic.whereabouts import whereabouts
from graphs.records import Observation
from tools.census import STEPS, Census
from tools.exemplars import Exemplar
from tools.rules import Condition, Mask, Rule, Windows
from tools.rules.spelling import spelling

Floats = NDArray[np.float64]

PRICE = 0.003
"""The least share of the squared activation that one more condition or token must explain."""
CHANCE = 0.2
"""What a condition explains by chance, in tokens of full strength."""
HEAVIEST = 8.0
"""Most that one silent token may count, in tokens that fire."""
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
    """The census and the exemplars, weighted so that silence is as common as in the corpus."""
    text, scale = dossier.census.text, dossier.statistics.scale or 1.0
    target, known = _counted(dossier.census)
    strangers: list[Exemplar] = []
    for exemplar in dossier.exemplars:
        number = text.numbers.get((exemplar.document, exemplar.position, exemplar.tokens))
        if number is None:
            strangers.append(exemplar)
        else:
            known[number] = True
            begin, end = text.starts[number : number + 2]
            target[begin:end] = _normalized([exemplar.activations], scale)
    others = _normalized([exemplar.activations for exemplar in strangers], scale)
    target = np.concatenate([target[np.repeat(known, np.diff(text.starts))], others])
    _remember_whereabouts(text.windows)
    windows = text.reading(known).followed_by(Windows.of([e.tokens for e in strangers]))
    which = np.cumsum(windows.positions == 0) - 1
    documents = text.document_numbers([exemplar.document for exemplar in strangers])
    source = documents[np.append(known, np.ones(len(strangers), bool))][which]
    return Evidence(windows, target, _weights(which, target, dossier), source)


def exemplar_evidence(dossier: Dossier, exemplars: Sequence[Exemplar]) -> Evidence:
    """Some of the feature's exemplars alone, weighted as in `corpus_evidence`."""
    windows = Windows.of([exemplar.tokens for exemplar in exemplars])
    target = _normalized([e.activations for e in exemplars], dossier.statistics.scale or 1.0)
    which = np.cumsum(windows.positions == 0) - 1
    text = dossier.census.text
    documents = text.document_numbers([e.document for e in exemplars])[len(text.documents) :]
    return Evidence(windows, target, _weights(which, target, dossier), documents[which])


def unseen_evidence(dossier: Dossier) -> Evidence:
    """The test split's contexts: no rule is induced from them, what was learned must hold there."""
    return exemplar_evidence(dossier, dossier.contexts or dossier.exemplars)


def near_evidence(dossier: Dossier, observations: Sequence[Observation]) -> Evidence:
    """Exemplars of the propose split and experiments: few tokens, against which much is tried."""
    corpus = exemplar_evidence(dossier, dossier.exemplars)
    return joined(corpus, observed_evidence(dossier, observations))


def tested_evidence(dossier: Dossier, observations: Sequence[Observation]) -> Evidence:
    """The test split's contexts and experiments: what further experiments may be chosen by."""
    return joined(unseen_evidence(dossier), observed_evidence(dossier, observations))


def _remember_whereabouts(windows: Windows) -> None:
    """Once for all features."""
    spelling(windows)
    for condition in whereabouts():
        condition.mask(windows)


def _counted(census: Census) -> tuple[Floats, Mask]:
    """What the census says of each token of its text, and of which windows it says something."""
    target = np.zeros(int(census.text.starts[-1]))
    target[census.places] = census.levels / STEPS
    return target, np.arange(len(census.text.tokens)) < census.n_windows


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


def _weights(which: NDArray[np.intp], target: Floats, dossier: Dossier) -> Floats:
    """The weight of each token, which is 1 in windows that fire.

    Windows that fire may be kept more often than silent ones, each of which stands for several.
    """
    fires = np.bincount(which, target > 0) > 0
    n_firing, n_silent = int(fires.sum()), int((~fires).sum())
    of_firing = dossier.statistics.n_active_windows
    of_silent = max(dossier.census.text.n_proposed - of_firing, n_silent)
    share = of_silent / max(n_silent, 1) / max(of_firing / max(n_firing, 1), 1.0)
    return np.where(fires, 1.0, np.clip(share, 1.0, HEAVIEST))[which]
