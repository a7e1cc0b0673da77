"""Which language model answers, where it is, and what a call may take and cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)


def _without_user(address: str) -> str:
    if "@" in address:
        # Not repeated: what stands before it is likely a password, and configurations are stored.
        raise ValueError(
            "it holds a user's name or password, which would be stored with the run; take out what "
            "stands before @, put the key into an environment variable and its name into "
            "api_key_env"
        )
    return address


Address: TypeAlias = Annotated[str, AfterValidator(_without_user)]
"""Of a server; without a password."""


def _a_name(variable: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        # Without repeating it: it may be the key itself.
        raise ValueError("name an environment variable, such as MY_KEY; the key belongs into that")
    return variable


VariableName: TypeAlias = Annotated[str, AfterValidator(_a_name)]
"""Of an environment variable; never its value."""


class Price(BaseModel):
    """What a model costs, in US dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: NonNegativeFloat
    output: NonNegativeFloat
    cached: NonNegativeFloat | None = None
    """Input tokens that the server had in its own cache; None for the price of any other."""

    def cost(self, *, tokens_in: int, tokens_out: int, tokens_cached: int) -> float:
        """US dollars of one call; `tokens_cached` are part of `tokens_in`."""
        cached = self.input if self.cached is None else self.cached
        fresh = tokens_in - tokens_cached
        return (fresh * self.input + tokens_cached * cached + tokens_out * self.output) / 1e6


class LlmOverrides(BaseModel):
    """What one role may have otherwise than the others; None keeps the common setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = None
    base_url: Address | None = None
    api_key_env: VariableName | None = None
    temperature: NonNegativeFloat | None = None
    max_output_tokens: PositiveInt | None = None
    reasoning_effort: str | None = None
    timeout_s: PositiveFloat | None = None
    extra_body: Mapping[str, Any] | None = None


class LlmSettings(BaseModel):
    """The `llm:` section of a configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1)
    """Name of the model, as the server knows it."""
    base_url: Address | None = None
    """Root of the server's API, such as http://localhost:8000/v1; None for OpenAI's own."""
    api_key_env: VariableName | None = None
    """Name of the environment variable with the key. None means OPENAI_API_KEY for OpenAI's own
    server, and no key at all for another: no key is sent to a server it is not meant for."""
    temperature: NonNegativeFloat | None = None
    """None leaves it to the server: some models refuse any other than their own."""
    max_output_tokens: PositiveInt = 8192
    """Longest reply in tokens, thinking included."""
    reasoning_effort: str | None = None
    timeout_s: PositiveFloat = 120.0
    """Seconds that one attempt may take."""
    max_retries: NonNegativeInt = 6
    """Further attempts after one that failed in a way that may pass."""
    concurrency: PositiveInt = 16
    """Most requests in flight, all features together."""
    requests_per_second: PositiveFloat | None = None
    prices: Mapping[str, Price] | None = None
    """By model name; None when nobody wants to know the cost."""
    extra_body: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """Further fields of the request's body, for what one kind of server knows."""
    roles: Mapping[str, LlmOverrides] = Field(default_factory=dict[str, LlmOverrides])
    """Other settings for single roles: a strong model proposes, a cheap one analyses."""

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if self.prices is not None:
            unpriced = sorted(set(self.models) - set(self.prices))
            if unpriced:
                raise ValueError(
                    f"prices: no price for {', '.join(unpriced)}; add it, or leave prices out"
                )
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that some role may ask."""
        own = (role.model for role in self.roles.values() if role.model is not None)
        return tuple(dict.fromkeys((self.model, *own)))

    def for_role(self, role: str) -> LlmSettings:
        """The settings with the role's own in place."""
        overrides = self.roles.get(role)
        if overrides is None:
            return self
        own = overrides.model_dump(exclude_none=True)
        if overrides.base_url is not None:
            # The common key is for the common server.
            own["api_key_env"] = overrides.api_key_env
        return self.model_copy(update=own)


class LlmBudget(BaseModel):
    """What language-model calls may use up; None for no limit.

    What is under way counts as what it will likely use, so that near the end of a budget it
    depends on timing which calls still get through.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    llm_calls: NonNegativeInt | None = None
    """Requests that were answered."""
    tokens: NonNegativeInt | None = None
    """Input and output tokens."""
    usd: NonNegativeFloat | None = None
    """US dollars; needs `llm.prices`."""
