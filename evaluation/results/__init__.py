"""The figures of the README, from scratch: `python -m evaluation.results`."""
