"""What a run lends to the policies that it makes: a language model, if one is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphs.runs import Run
from tools.database import Database
from tools.errors import ConfigError
from tools.llm.language_model import LanguageModel

if TYPE_CHECKING:
    from tools.llm.openai_model import OpenAIModel


class Services:
    """Makes what is asked for, at the first call; closes it at the end. A RunServices."""

    def __init__(self, database: Database, run: Run) -> None:
        self._database = database
        self._run = run
        self._model: OpenAIModel | None = None

    def language_model(self) -> LanguageModel:
        """The run's language model.

        Raises:
            ConfigError: the configuration has no `llm` section, or the key is not set.
        """
        if self._model is None:
            config = self._run.config
            if config.llm is None:
                raise ConfigError(
                    "a policy asks a language model, and the configuration has no `llm` section; "
                    "add one (see graphs/configs/language-model.yaml), or use policy symbolic."
                )
            # A second of imports that a run without a language model need not wait for.
            from tools.llm.openai_model import OpenAIModel  # noqa: PLC0415

            self._model = OpenAIModel(
                config.llm,
                self._database,
                self._run.name,
                per_feature=config.budget.feature,
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
