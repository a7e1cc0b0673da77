"""The reasoning: what happens, and in which order."""
