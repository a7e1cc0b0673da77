"""The Hugging Face hub and the libraries that read from it: quick about outages, and quiet."""

from __future__ import annotations

import logging
import os
import urllib.error
import urllib.request
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import constants
from transformers.utils import logging as transformers_logging

_PROBE_SECONDS = 5.0


def looks_local(name: str) -> bool:
    """Whether `name` can only be meant as a path, or is one that exists.

    A hub id has at most one slash and starts with a letter or digit.
    """
    starts_like_path = name.startswith(("/", ".", "~", os.sep))
    return starts_like_path or name.count("/") > 1 or "\\" in name or Path(name).exists()


def hub_reachable() -> bool:
    """Whether the hub answers at all, found out within seconds."""
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # An answer, if an unfriendly one.
    except (OSError, ValueError):
        return False
    return True


@contextmanager
def hub_access(*, needed: bool) -> Generator[bool]:
    """Within, downloads work if the hub answers; else its local cache is used at once.

    Without this, every file of a cached model costs half a minute of retries when offline.

    Args:
        needed: False for what is on disk: nothing is then sent to the hub.

    Yields:
        Whether the hub can be reached.
    """
    before = constants.HF_HUB_OFFLINE
    online = needed and not before and hub_reachable()
    constants.HF_HUB_OFFLINE = not online
    try:
        yield online
    finally:
        constants.HF_HUB_OFFLINE = before


@contextmanager
def quiet_libraries() -> Generator[None]:
    """Within, transformers, sae-lens and TransformerLens log errors only.

    Progress bars of actual downloads stay: they may take minutes.
    """
    verbosity = transformers_logging.get_verbosity()
    bar = transformers_logging.is_progress_bar_enabled()
    levels = {name: logging.getLogger(name).level for name in ("", "sae_lens", "transformer_lens")}
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()
