"""What a run, or its evaluation, lends to those it makes: a language model, if one is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphs.runs import Run
from tools.database import Database
from tools.errors import ConfigError
from tools.llm.language_model import LanguageModel
from tools.llm.settings import LlmBudget

if TYPE_CHECKING:
    from tools.llm.openai_model import OpenAIModel


_NONE_TO_DECIDE = (
    "a policy asks a language model, and the configuration has no `llm` section; "
    "add one (see graphs/configs/language-model.yaml), or use policy symbolic."
)
_NONE_TO_JUDGE = (
    "a language model is to judge, and the run's configuration has no `llm` section; "
    "name one, as in --set llm.model=gpt-5-mini (and --set llm.base_url=... for a server of your "
    "own), or use judge rule."
)


def evaluation_name(run: str) -> str:
    """Under which name the ledger has what scoring a run's explanations takes."""
    return f"{run}/evaluation"


class Services:
    """Makes what is asked for, at the first call; closes it at the end. A RunServices."""

    def __init__(self, database: Database, run: Run, *, evaluation: bool = False) -> None:
        """Make nothing yet.

        Args:
            database: Has the ledger.
            run: Whose configuration names the language model.
            evaluation: Whether it is lent for scoring the run's explanations. That has books of
                its own, under `evaluation_name`, and once more what `budget.run` allows, without
                a limit for single features.
        """
        self._database = database
        self._run = run
        self._evaluation = evaluation
        self._model: OpenAIModel | None = None

    def language_model(self) -> LanguageModel:
        """The run's language model.

        Raises:
            ConfigError: the configuration has no `llm` section, or the key is not set.
        """
        if self._model is None:
            config = self._run.config
            if config.llm is None:
                raise ConfigError(_NONE_TO_JUDGE if self._evaluation else _NONE_TO_DECIDE)
            # A second of imports that a run without a language model need not wait for.
            from tools.llm.openai_model import OpenAIModel  # noqa: PLC0415

            self._model = OpenAIModel(
                config.llm,
                self._database,
                evaluation_name(self._run.name) if self._evaluation else self._run.name,
                per_feature=LlmBudget() if self._evaluation else config.budget.feature,
                per_run=config.budget.run,
            )
        return self._model

    @property
    def asks_language_model(self) -> bool:
        """Whether anyone has asked for the language model: whose policy waits for a server."""
        return self._model is not None

    def forget_malformed(self, feature: int) -> None:
        """Let what the language model could not answer for the feature be asked afresh."""
        if self._model is not None:
            self._model.forget_malformed(feature)

    def close(self) -> None:
        """Stop asking: questions that are still out end with KeyboardInterrupt. Idempotent."""
        if self._model is not None:
            self._model.close()
