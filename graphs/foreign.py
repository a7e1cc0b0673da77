"""Users' own code: found by import path, and its failures told in a sentence."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.errors import SaesageError


@contextmanager
def foreign_code(trouble: str, error_type: type[SaesageError]) -> Generator[None]:
    """Turn whatever a user's own code raises into an `error_type` that says where it happened."""
    try:
        yield
    except SaesageError:
        raise
    except Exception as error:  # Nobody can say beforehand what foreign code raises.
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f" ({Path(place.filename).name}, line {place.lineno})"
        # A module that is not there has no place of its own: the import machinery's says nothing.
        where = "" if "importlib" in place.filename else where
        raise error_type(f"{trouble}{where}: {error!r}.") from error


def imported(path: str, kind: str, error_type: type[SaesageError]) -> Any:
    """What `package.module:name` names; modules may lie in the working directory.

    Args:
        path: the import path.
        kind: what it should name, for the message: `policy`.
        error_type: what is raised if the module cannot be imported or lacks the name.
    """
    module_name, _, name = path.partition(":")
    if os.getcwd() not in sys.path:
        # As with `python -m`.
        sys.path.append(os.getcwd())
    with foreign_code(f"{kind} module {module_name!r} cannot be imported", error_type):
        module = importlib.import_module(module_name)
    if not hasattr(module, name):
        raise error_type(f"module {module_name!r} has no {kind} {name!r}; check the import path.")
    return getattr(module, name)
