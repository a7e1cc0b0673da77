"""The language-model policy: SAGE's four roles, each question asked once and checked by machine."""

from graphs.policies.language_model.policy import LanguageModelPolicy

__all__ = ["LanguageModelPolicy"]
