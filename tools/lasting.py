"""Imports that are there until the process ends, and that garbage collection passes over."""

from __future__ import annotations

import gc
import importlib


def import_lasting(name: str) -> None:
    """Import a heavy module, and spare the garbage collector whatever exists then.

    torch, transformers and sae-lens are half a million objects. Looking through them for garbage
    takes a sixth of the import, and later 0.3 s every time, while all threads stand still. For a
    program's own start: in somebody else's process, objects might be garbage later on.
    """
    gc.disable()
    try:
        importlib.import_module(name)
        gc.collect()
        gc.freeze()
    finally:
        gc.enable()
