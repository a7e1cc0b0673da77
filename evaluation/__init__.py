"""Whether an explanation is any good: scorers, judges, baselines, planted truth, benchmarks."""
