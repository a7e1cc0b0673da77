"""Budgets of language-model calls: what a run and each of its features have used up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tools.errors import BudgetSpent
from tools.llm.ledger import AnsweredCall
from tools.llm.settings import LlmBudget, Price

CHARACTERS_PER_TOKEN = 3
"""For budgets alone: a call whose usage the server did not report counts as its characters divided
by this, for a limit that counts it as nothing would be none. Text has rather more to a token."""


@dataclass(slots=True)
class _Used:
    calls: int = 0
    in_flight: int = 0
    tokens: int = 0
    usd: float = 0.0


class Spending:
    """Counts calls against the budgets. Belongs to one thread."""

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
        self._features: defaultdict[int, _Used] = defaultdict(_Used)
        for call in past:
            self._add(call)

    def admit(self, feature: int) -> None:
        """Let a request out; `settle` must follow.

        Raises:
            BudgetSpent: a budget is used up, requests in flight counted as calls.
        """
        _check(self._per_feature, self._features[feature], f"feature {feature}")
        _check(self._per_run, self._run, "the run")
        for used in (self._run, self._features[feature]):
            used.in_flight += 1

    def settle(self, feature: int, call: AnsweredCall | None) -> None:
        """Count a request that was let out; None if it was not answered."""
        for used in (self._run, self._features[feature]):
            used.in_flight -= 1
        if call is not None:
            self._add(call)

    def _add(self, call: AnsweredCall) -> None:
        tokens_in, tokens_out, usd = self._counted(call)
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
            # Without prices there is no limit in dollars: the configuration sees to it.
            price = None if self._prices is None else self._prices.get(call.model)
            usd = (
                0.0
                if price is None
                else price.cost(tokens_in=tokens_in, tokens_out=tokens_out, tokens_cached=0)
            )
        return tokens_in, tokens_out, usd


def _check(budget: LlmBudget, used: _Used, scope: str) -> None:
    spent = {
        "llm_calls": used.calls + used.in_flight,
        "tokens": used.tokens,
        "usd": used.usd,
    }
    for name, amount in spent.items():
        limit = getattr(budget, name)
        if limit is not None and amount >= limit:
            raise BudgetSpent(f"budget {name}={limit} of {scope} is used up")
