"""Baseline: one look at the strongest exemplars, as single-pass tools explain features.

What Neuronpedia's `oai_token-act-pair` and OpenAI's neuron-explainer do (Bills et al., 2023,
"Language models can explain neurons in language models"): top exemplars only, no text on which the
feature is silent, no experiment, one description.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np

from evaluation.baselines.baseline import NEVER_FIRES, Desk, by_rule, missing
from evaluation.candidate import Candidate
from graphs.policies.language_model import LanguageModelPolicy
from graphs.policies.language_model.exhibits import LONGEST_TOKEN
from graphs.policies.language_model.flat_rules import executable
from graphs.policies.language_model.replies import FlatRule, Reply
from graphs.policies.language_model.words import clean, shortened
from graphs.policies.registry import policy_class
from graphs.policies.symbolic.statements import propose
from graphs.records import Proposal
from tools.errors import LanguageModelError, LanguageModelUnusable, RuleError, UnusableReply
from tools.exemplars import Exemplar
from tools.llm.data_blocks import Row, data_block
from tools.llm.language_model import LanguageModel, Question
from tools.llm.prompt_files import Placeholders, PromptFile, read_prompt_files
from tools.rules import CLASSES, Branch, Rule, TokenIn

PROMPTS = Path(__file__).parent / "prompts"
CARRIES = 0.5
"""Share of an exemplar's maximum from which a token is said to carry it."""
REACH = 24
"""Tokens shown on each side of an exemplar's peak."""
STEPS = 10
"""What the feature's scale is shown as."""
LONGEST = 600
"""Characters of a description: as many as the investigation's own may have."""


class OneShotReply(Reply):
    """What a language model says at one look."""

    description: str
    rule: FlatRule | None = None


class OneShot:
    """Explains from the ten strongest exemplars alone, in the family of the run's own policy."""

    name = "one_shot"

    def asks(self, policy: str) -> bool:
        """In runs of the language-model family."""
        named = policy_class(policy)
        return isinstance(named, type) and issubclass(named, LanguageModelPolicy)

    def recipe(self, agentic: Mapping[int, Candidate]) -> str:
        """The version of its prompt."""
        return f"2 {_prompt().hash}"

    def explain(self, desk: Desk) -> Candidate:
        """A description that a language model gives, or a rule that lists the carrying tokens.

        Raises:
            PolicyError: the run's policy can no longer be imported.
        """
        if not desk.top:
            return missing(self.name, desk.feature, NEVER_FIRES)
        if not self.asks(desk.policy):
            rule = carrying_rule(desk.top, desk.scale)
            return by_rule(self.name, desk.feature, propose(rule))
        if desk.model is None:
            reason = "there is no language model to ask: no `llm` section, or no key"
            return replace(missing(self.name, desk.feature, reason), may_come=True)
        return self._asked(desk, desk.model)

    def _asked(self, desk: Desk, model: LanguageModel) -> Candidate:
        try:
            (exchange,) = model.exchange([one_shot_question(desk)])
        except LanguageModelUnusable as error:
            # Others can be scored without it; a judge that needs the model says so itself.
            return replace(missing(self.name, desk.feature, str(error)), may_come=True)
        if isinstance(exchange.outcome, LanguageModelError):
            failed = missing(self.name, desk.feature, str(exchange.outcome), exchange.spent)
            return replace(failed, may_come=True)
        return by_rule(self.name, desk.feature, exchange.outcome, exchange.spent)


def carrying_rule(exemplars: Sequence[Exemplar], scale: float) -> Rule:
    """Fires on the tokens that carry the exemplars, each as strongly as it does there on average.

    Args:
        exemplars: those looked at.
        scale: of the feature, in the SAE's units.
    """
    carried: dict[str, list[float]] = {}
    for exemplar in exemplars:
        for token, activation in zip(exemplar.tokens, exemplar.activations.tolist(), strict=True):
            if activation >= CARRIES * exemplar.max_activation:
                carried.setdefault(token, []).append(activation)
    graded: dict[float, list[str]] = {}
    for token in sorted(carried, key=lambda token: -sum(carried[token])):
        strength = round(min(1.0, fmean(carried[token]) / scale), 1)
        graded.setdefault(strength, []).append(token)
    return Rule(tuple(Branch(TokenIn(tuple(graded[at])), at) for at in graded))


def one_shot_question(desk: Desk) -> Question[Proposal]:
    """The one question: token and activation, pair by pair, of the strongest exemplars."""
    rows = [_row(exemplar, desk.scale) for exemplar in desk.top]
    filled = {"pairs": data_block("pairs", rows), "token_classes": ", ".join(CLASSES)}
    return Question(
        role="explainer",
        feature=desk.feature,
        prompt=_prompt().fill(filled),
        reply=OneShotReply,
        read=_read,
    )


def _row(exemplar: Exemplar, scale: float) -> Row:
    here = slice(max(0, exemplar.peak - REACH), exemplar.peak + REACH + 1)
    steps = np.floor(np.clip(exemplar.activations[here] / scale, 0.0, 1.0) * STEPS).astype(int)
    shown = [shortened(token, LONGEST_TOKEN) for token in exemplar.tokens[here]]
    pairs = [[token, step] for token, step in zip(shown, steps.tolist(), strict=True)]
    return {"tokens": pairs, "active": [pair for pair in pairs if pair[1]]}


def _read(reply: OneShotReply, last: bool) -> Proposal:
    description = clean(reply.description, LONGEST)
    if not description:
        raise UnusableReply("The description is empty; say in a sentence what it fires on.")
    if reply.rule is None:
        return Proposal(statement=description)
    try:
        rule = executable(reply.rule, "active")
    except RuleError as error:
        if not last:
            raise UnusableReply(
                f"The rule cannot be executed: {error} Mend it, or give null for it."
            ) from error
        note = f"its rule was left out: {clean(str(error), 120)}"
        return Proposal(statement=description, note=note)
    return Proposal(statement=description, rule=rule.to_json())


@cache
def _prompt() -> PromptFile:
    known = Placeholders(required=("pairs",), optional=("token_classes",))
    return read_prompt_files(PROMPTS, {"one_shot": known})["one_shot"]
