"""The judge that executes what an explanation carries: a rule, or a table of tokens."""

from evaluation.judges.rule.judge import RuleJudge

__all__ = ["RuleJudge"]
