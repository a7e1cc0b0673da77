"""A language model that reads descriptions: each answer comes with its probabilities, if it can."""

from evaluation.judges.language_model.judge import LanguageModelJudge
from evaluation.judges.language_model.questions import prompts_digest

__all__ = ["LanguageModelJudge", "prompts_digest"]
