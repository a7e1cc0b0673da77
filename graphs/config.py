"""A run's configuration: one YAML file, validated whole, kept with the run."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from graphs.records import ReviewPoint
from tools.errors import ConfigError
from tools.llm.settings import LlmBudget, LlmOverrides, LlmSettings, Price

ROLES = (
    "generate_hypotheses",
    "design_experiments",
    "analyze_evidence",
    "refine_hypotheses",
    "conclude",
)
"""The deciding nodes, each with a policy of its own."""

JUDGE = "judge"
"""Who a language model is asked as when it scores finished explanations."""

LLM_ROLES = ("explainer", "designer", "analyzer", "reviewer", JUDGE)
"""Who a language model is asked as, each with settings of its own: SAGE's agents and JUDGE."""

TRANSPORT_KEYS = {
    *("base_url", "api_key_env", "timeout_s", "max_retries"),
    *("concurrency", "requests_per_second", "prices"),
}
"""Keys of `llm` that decide how a model is reached and paid, not what it says."""

_IMPORT_PATH = re.compile(r"\w+(\.\w+)*:\w+")


class Section(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SaeConfig(Section):
    """An SAE from sae-lens' registry (`release` and `id`) or a directory (`path`)."""

    release: str | None = None
    id: str | None = None
    path: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.release is None and self.id is None):
            raise ValueError("give either path, or release and id")
        if self.path is None and (self.release is None or self.id is None):
            raise ValueError("release and id go together")
        return self


class SubjectConfig(Section):
    """The language model and the SAE that reads it, or a factory of something that acts as both."""

    model: str | None = None
    """Hub id or directory."""
    sae: SaeConfig | None = None
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    factory: str | None = None
    """`package.module:callable`: called without arguments, it returns a `Subject`."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.factory is None:
            if self.model is None or self.sae is None:
                raise ValueError("give both model and sae, or factory in their place")
            return self
        if (self.model, self.sae, self.device, self.dtype) != (None, None, "auto", "auto"):
            raise ValueError(
                "factory takes the place of model, sae, device and dtype: give it alone"
            )
        if not _IMPORT_PATH.fullmatch(self.factory):
            raise ValueError(
                f"factory: {self.factory!r} is no import path such as mypackage.mymodule:my_subject"
            )
        return self

    @property
    def name(self) -> str:
        """What a table calls it: the last part of the model's name, or the factory."""
        return self.factory or (self.model or "").rstrip("/").rsplit("/", 1)[-1]


class DatasetConfig(Section):
    """A Hugging Face dataset, streamed."""

    dataset: str
    split: str = "train"
    column: str = "text"
    config: str | None = None
    """Name of the dataset's configuration, where it has several."""


class CorpusConfig(Section):
    """Where exemplars and contexts come from."""

    source: str | DatasetConfig
    """`python-stdlib`, a path or glob, or a dataset."""
    max_tokens: PositiveInt = 300_000
    context_size: PositiveInt | None = None
    """Window length in tokens, special tokens included; null for the SAE's own."""
    column: str = "text"
    """The text column of .jsonl, .csv and .parquet files."""
    memory_gib: PositiveFloat = 2.0
    """What measuring the corpus may take beside model, SAE and text; decides no result."""


class BudgetConfig(LlmBudget):
    """Limits of one feature's investigation, and those of language-model calls for the run."""

    rounds: PositiveInt = 14
    experiments: PositiveInt = 200
    """Texts, all rounds together."""
    minutes: PositiveFloat | None = None
    run: LlmBudget = LlmBudget()
    """What all features together may use up."""

    @property
    def feature(self) -> LlmBudget:
        """What language-model calls for one feature may use up."""
        return LlmBudget(llm_calls=self.llm_calls, tokens=self.tokens, usd=self.usd)


class ThresholdsConfig(Section):
    """Maximum activations relative to the feature's scale, the mean of its top-10 maxima."""

    active: PositiveFloat = 0.5
    """At or above: active."""
    inactive: NonNegativeFloat = 0.1
    """At or below: inactive; between the two: inconclusive."""
    strong: PositiveFloat = 0.8
    """At or above: a strong positive."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.inactive < self.active <= self.strong:
            raise ValueError("thresholds must be ordered: inactive < active <= strong")
        return self


FeatureSpec: TypeAlias = int | str
_FEATURE_ITEM = re.compile(r"\d+(-\d+)?|random:\d+")


class RunConfig(Section):
    """Everything that determines a run's result, and the file that it is kept in."""

    subject: SubjectConfig
    corpus: CorpusConfig
    features: tuple[FeatureSpec, ...] = Field(min_length=1)
    """Ids, ranges such as `"100-119"`, and `"random:20"`."""
    policies: Mapping[str, str] = Field(default_factory=lambda: {"default": "symbolic"})
    """A registered name or `package.module:Class` per role, and a `default`."""
    llm: LlmSettings | None = None
    """The language model, for policies that ask one."""
    budget: BudgetConfig = BudgetConfig()
    thresholds: ThresholdsConfig = ThresholdsConfig()
    seed: int = Field(default=0, ge=0, lt=2**63)
    concurrency: PositiveInt | None = None
    """Features explained at a time; None: as many as `llm.concurrency` where a language model is
    asked, else a few."""
    review: tuple[ReviewPoint, ...] = ()
    """Where each feature waits for the user: `after-hypotheses`, `before-conclusion`."""
    database: str = "runs/saesage.duckdb"

    @field_validator("features", mode="before")
    @classmethod
    def _plain_ids(cls, features: object) -> object:
        """Read `"3"` as 3: a run is the same whether an id came from YAML or the command line."""
        is_many = isinstance(features, list | tuple)
        given = cast("list[object]", features) if is_many else [features]
        parts = ",".join(map(str, given)).split(",")
        items = [part.strip() for part in parts if part.strip()]
        for item in items:
            if not _FEATURE_ITEM.fullmatch(item):
                raise ValueError(f"{item!r} is no id, range such as 100-119, or random:20")
        return tuple(int(item) if item.isdecimal() else item for item in items)

    @model_validator(mode="after")
    def _known_roles(self) -> Self:
        llm_roles = self.llm.roles if self.llm else ()
        for section, roles, known in (
            ("policies", self.policies, (*ROLES, "default")),
            ("llm.roles", llm_roles, LLM_ROLES),
        ):
            for role in roles:
                if role not in known:
                    raise ValueError(f"{section}: unknown role {role!r}{_nearest(role, known)}")
        return self

    @model_validator(mode="after")
    def _priced_budget(self) -> Self:
        limited = self.budget.usd is not None or self.budget.run.usd is not None
        if limited and (self.llm is None or self.llm.prices is None):
            raise ValueError("budget: a limit in usd needs llm.prices")
        return self

    def policy_of(self, role: str) -> str:
        """The name or import path of the policy for `role`."""
        return self.policies.get(role, self.policies.get("default", "symbolic"))

    @property
    def config_hash(self) -> str:
        """Hash over what determines the result.

        Where it is kept, how many at a time, in how much memory, how it is sent and who judges
        it are left out.
        """
        llm: dict[str, Any] = dict.fromkeys(TRANSPORT_KEYS, True)
        llm["roles"] = {"__all__": TRANSPORT_KEYS, JUDGE: True}
        exclude: dict[str, Any] = {"database": True, "concurrency": True, "llm": llm}
        exclude["corpus"] = {"memory_gib": True}
        if self.subject.factory is None:
            # Runs that were begun before there were factories keep their hashes.
            exclude["subject"] = {"factory": True}
        if not self.review:
            # So do those that were begun before anyone could be asked.
            exclude["review"] = True
        content = self.model_dump(mode="json", exclude=exclude)
        canonical = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def parse_config(content: Mapping[str, Any]) -> RunConfig:
    """Validate a configuration that is already a mapping.

    Raises:
        ConfigError: with one line for each thing that is wrong.
    """
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        lines = dict.fromkeys(_explain(dict(e)) for e in error.errors())
        raise ConfigError("the configuration is not valid:\n  " + "\n  ".join(lines)) from error


def _keys(section: type[BaseModel]) -> tuple[str, ...]:
    return tuple(section.model_fields)


def _explain(error: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"] if not _is_union_arm(part))
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    known = _known_keys(error["loc"][:-1])
    return f"unknown key {where}{_nearest(str(error['loc'][-1]), known)}"


def _is_union_arm(part: object) -> bool:
    return part in ("str", "int", "DatasetConfig")


def _known_keys(location: Sequence[object]) -> tuple[str, ...]:
    """The keys that the section at `location` takes."""
    sections: dict[object, type[BaseModel]] = {
        "subject": SubjectConfig,
        "sae": SaeConfig,
        "corpus": CorpusConfig,
        "source": DatasetConfig,
        "DatasetConfig": DatasetConfig,
        "llm": LlmSettings,
        "roles": LlmOverrides,
        "prices": Price,
        "budget": BudgetConfig,
        "run": LlmBudget,
        "thresholds": ThresholdsConfig,
    }
    # Under `roles` and `prices` the user's own names come last: the section is further up.
    section = next((sections[part] for part in reversed(location) if part in sections), RunConfig)
    return _keys(section)


def _nearest(word: str, known: Sequence[str]) -> str:
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else f"; known: {', '.join(known)}"
