"""The live page: a run seen while it goes on, texts tried out, and its features steered."""
