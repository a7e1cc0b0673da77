"""The judge that executes what an explanation carries: a rule, or a table of tokens."""

from evaluation.judges.rule.judge import VERSION, RuleJudge

__all__ = ["VERSION", "RuleJudge"]
