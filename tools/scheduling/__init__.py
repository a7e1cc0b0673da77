"""Texts of many features at once: in full batches that change no bit, and none of them twice."""
