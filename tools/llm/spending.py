"""Budgets of language-model calls: what a run and each of its features have used up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tools.errors import BudgetSpent
from tools.llm.ledger import AnsweredCall
from tools.llm.settings import LlmBudget, Price

CHARACTERS_PER_TOKEN = 3
"""For budgets alone: a call whose usage the server did not report counts as its characters divided
by this, for a limit that counts it as nothing would be none. Text has rather more to a token."""

FIRST_REPLY_TOKENS = 500
"""What a reply is taken to have before the run has got any; later, the mean of those it got."""


@dataclass(frozen=True, slots=True, eq=False)
class Reserved:
    """What a request that is under way counts as until it is settled."""

    feature: int
    tokens: int
    usd: float


@dataclass(slots=True)
class _Used:
    calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    under_way: set[Reserved] = field(default_factory=set[Reserved])

    def with_reserved(self) -> dict[str, float]:
        """By the names that the budgets have."""
        return {
            "llm_calls": self.calls + len(self.under_way),
            "tokens": self.tokens + sum(each.tokens for each in self.under_way),
            "usd": self.usd + sum(each.usd for each in self.under_way),
        }


class Spending:
    """Counts calls against the budgets. Belongs to one thread.

    A call is let out while a budget has anything left, requests under way counted as one call
    each and as what they are likely to use. So no more calls are made than `llm_calls` allows,
    and tokens and dollars are overspent by no more than one call and what the guesses were wrong
    by. Near the end of a budget it depends on timing which calls still get through.
    """

    def __init__(
        self,
        past: Iterable[AnsweredCall],
        prices: Mapping[str, Price] | None,
        *,
        per_feature: LlmBudget,
        per_run: LlmBudget,
    ) -> None:
        """Begin with the calls that the run made in earlier sessions."""
        self._prices = prices
        self._per_feature = per_feature
        self._per_run = per_run
        self._run = _Used()
        self._reply_tokens = 0
        self._features: defaultdict[int, _Used] = defaultdict(_Used)
        for call in past:
            self._add(call)

    def admit(self, feature: int, model: str, n_sent: int) -> Reserved:
        """Let a request out; `settle` must follow.

        Args:
            feature: On whose behalf.
            model: Who is asked.
            n_sent: Characters of the request.

        Raises:
            BudgetSpent: a budget is used up, by what was answered and what is under way.
        """
        _check(self._per_feature, self._features[feature], f"feature {feature}")
        _check(self._per_run, self._run, "the run")
        tokens_in = n_sent // CHARACTERS_PER_TOKEN
        tokens_out = FIRST_REPLY_TOKENS
        if self._run.calls:
            tokens_out = self._reply_tokens // self._run.calls
        usd = self._usd(model, tokens_in, tokens_out)
        reserved = Reserved(feature, tokens_in + tokens_out, usd)
        for used in (self._run, self._features[feature]):
            used.under_way.add(reserved)
        return reserved

    def settle(self, reserved: Reserved, call: AnsweredCall | None) -> None:
        """Count a request that was let out as what it used; None if it was not answered."""
        for used in (self._run, self._features[reserved.feature]):
            used.under_way.remove(reserved)
        if call is not None:
            self._add(call)

    def _add(self, call: AnsweredCall) -> None:
        tokens_in, tokens_out, usd = self._counted(call)
        self._reply_tokens += tokens_out
        for used in (self._run, self._features[call.feature]):
            used.calls += 1
            used.tokens += tokens_in + tokens_out
            used.usd += usd

    def _counted(self, call: AnsweredCall) -> tuple[int, int, float]:
        usage = call.usage
        tokens_in, tokens_out = usage.tokens_in, usage.tokens_out
        if tokens_in is None:
            tokens_in = call.n_sent // CHARACTERS_PER_TOKEN
        if tokens_out is None:
            tokens_out = call.n_received // CHARACTERS_PER_TOKEN
        usd = call.cost
        if usd is None:
            usd = self._usd(call.model, tokens_in, tokens_out)
        return tokens_in, tokens_out, usd

    def _usd(self, model: str, tokens_in: int, tokens_out: int) -> float:
        # Without prices there is no limit in dollars: the configuration sees to it.
        price = None if self._prices is None else self._prices.get(model)
        if price is None:
            return 0.0
        return price.cost(tokens_in=tokens_in, tokens_out=tokens_out, tokens_cached=0)


def _check(budget: LlmBudget, used: _Used, scope: str) -> None:
    for name, amount in used.with_reserved().items():
        limit = getattr(budget, name)
        if limit is not None and amount >= limit:
            raise BudgetSpent(f"budget {name}={limit} of {scope} is used up")
