"""Is it any good: measurements of explanations and of the tool itself."""
