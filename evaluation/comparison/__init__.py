"""Explainers side by side: means, paired differences, intervals, costs."""

from evaluation.comparison.comparison import (
    Comparison,
    MetricComparison,
    as_json,
    compare,
    compare_run,
)

__all__ = ["Comparison", "MetricComparison", "as_json", "compare", "compare_run"]
