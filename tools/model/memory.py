"""Running out of memory, told apart from what else goes wrong in torch."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch

from tools.errors import OutOfMemory

_NOT_ENOUGH = ("not enough memory", "out of memory")
"""How torch's allocators word it: on a CPU it is a plain RuntimeError."""


@contextmanager
def explain_memory(n_texts: int) -> Generator[None]:
    """Within, what torch raises for lack of memory becomes OutOfMemory.

    Args:
        n_texts: how many texts are in the batch, for the message.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        short = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not short and not any(words in str(error) for words in _NOT_ENOUGH):
            raise
        raise OutOfMemory(
            f"a batch of {n_texts} texts does not fit the memory; give fewer or shorter texts at "
            "a time, or run on a device with more memory"
        ) from error
