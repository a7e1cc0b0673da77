"""What a language model designed for one hypothesis, as far as it can be measured."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain, zip_longest

from graphs.policies.language_model.replies import DesignedText
from graphs.policies.symbolic.texts import expectation
from graphs.records import Design, Expectation, ExperimentKind, Hypothesis, Setback, Trial
from tools.activations import Tokenization
from tools.rules import Rule, rule_from_json

LONGEST = 400
"""Characters of a text."""
_USED = "a text was used before"
_FITTING: dict[Expectation, dict[ExperimentKind, ExperimentKind]] = {
    "active": {"negative_control": "positive"},
    "inactive": {"positive": "negative_control"},
}
"""What a text for a hypothesis about activity is, once it is known what is predicted of it."""


class TextCheck:
    """Collects the usable texts of one hypothesis."""

    def __init__(
        self, tokenization: Tokenization, hypothesis: Hypothesis, stale: Collection[str]
    ) -> None:
        """Take what decides whether a text is usable; `stale` ones were measured before.

        Texts that differ in whitespace alone are one text, but for two of a set that are predicted
        to come out differently: then the whitespace is what is tested.
        """
        self._tokenization = tokenization
        self._hypothesis = hypothesis
        self._rule: Rule | None = rule_from_json(hypothesis.rule) if hypothesis.rule else None
        self._stale = set(map(_plain, stale))
        self._seen: set[tuple[str, Expectation]] = set()
        self._texts: set[str] = set()
        self._read: dict[str, list[int]] = {}
        self._trials: list[tuple[ExperimentKind, Trial]] = []

    def add(self, item: DesignedText) -> str:
        """Keep a text if it can be used; what is wrong with it otherwise, or an empty string."""
        trouble = self._unmeasurable(item.text) or self._pointless(item)
        if trouble:
            return trouble
        predicted = self._said(item.text) if self._says_what_fires else "inactive"
        return self._keep(item, predicted or item.expected)

    @property
    def _says_what_fires(self) -> bool:
        return self._hypothesis.polarity == "active"

    def _keep(self, item: DesignedText, predicted: Expectation) -> str:
        key = (_plain(item.text), predicted)
        if key in self._seen or item.text in self._texts:
            return _USED
        fitting = _FITTING[predicted] if self._says_what_fires else {}
        trial = Trial(text=item.text, predicted=predicted)
        self._trials.append((fitting.get(item.kind, item.kind), trial))
        self._seen.add(key)
        self._texts.add(item.text)
        return ""

    def _unmeasurable(self, text: str) -> str:
        if not text.strip():
            return "a text is empty"
        if any("\ud800" <= char <= "\udfff" or char == "\0" for char in text):
            return "a text is no valid Unicode"
        if len(text) > LONGEST:
            return f"a text has more than {LONGEST} characters"
        if _plain(text) in self._stale:
            return _USED
        n_tokens, most = len(self._token_ids(text)), self._tokenization.window_size
        return "" if 0 < n_tokens <= most else f"a text has {n_tokens} tokens; 1 to {most} fit"

    def _token_ids(self, text: str) -> list[int]:
        if text not in self._read:
            self._read[text] = self._tokenization.tokenize(text)
        return self._read[text]

    def _pointless(self, item: DesignedText) -> str:
        """Why a text cannot decide about a hypothesis that says what stays silent, if it cannot.

        Such a hypothesis predicts nothing of a text without what it names, nor of one in which
        something else fires.
        """
        if self._says_what_fires:
            return ""
        if item.expected == "active":
            return "a hypothesis of polarity inactive needs texts expected inactive"
        if self._said(item.text) == "inactive":
            return "a text does not hold what the rule says must not fire"
        return ""

    def _said(self, text: str) -> Expectation | None:
        """What the hypothesis' rule says of a text: active where it holds; None if unclear."""
        if self._rule is None:
            return None
        surfaces = self._tokenization.surfaces(self._token_ids(text))
        return expectation(self._rule, surfaces)

    def __len__(self) -> int:
        """Number of usable texts."""
        return len(self._trials)

    def designs(self, most: int) -> list[Design | Setback]:
        """At most so many texts, of both predictions alike; one design for each kind.

        A setback where there is none.
        """
        if not self._trials:
            reason = "the language model designed no text for it that can be measured"
            return [Setback(hypothesis=self._hypothesis.id, reason=reason)]
        kinds: dict[ExperimentKind, list[Trial]] = {}
        for kind, trial in self._chosen(most):
            kinds.setdefault(kind, []).append(trial)
        return [
            Design(hypothesis=self._hypothesis.id, kind=kind, trials=tuple(trials))
            for kind, trials in kinds.items()
        ]

    def _chosen(self, most: int) -> Sequence[tuple[ExperimentKind, Trial]]:
        """The first texts, taken from both predictions in turn, in their old order."""
        sides: list[list[int]] = [
            [n for n, (_, trial) in enumerate(self._trials) if trial.predicted == side]
            for side in ("active", "inactive")
        ]
        in_turn = [n for n in chain.from_iterable(zip_longest(*sides)) if n is not None]
        return [self._trials[n] for n in sorted(in_turn[:most])]


def _plain(text: str) -> str:
    return " ".join(text.split())
