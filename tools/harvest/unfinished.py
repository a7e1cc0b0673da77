"""Folders beside the database for blocks of a harvest that is not stored yet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path


class UnfinishedHarvest:
    """The folder `<database>.harvest/<key>`, with a folder in it for each pass.

    One process at a time holds a database, so whatever else lies there was left by a kill.
    """

    def __init__(self, database: str, key: str) -> None:
        """Name the folder; nothing is made or deleted yet.

        Args:
            database: the DuckDB file, or `:memory:`, which has no folder.
            key: of the harvest.
        """
        self._base = None if database == ":memory:" else Path(f"{database}.harvest")
        self._key = key

    def of_pass(self, sample: str, features: Sequence[int], block_tokens: int) -> Path | None:
        """The folder for one pass; None where there can be none. Other harvests' are deleted.

        Args:
            sample: fingerprint of the windows.
            features: what the pass measures, in order.
            block_tokens: how it is cut into blocks.
        """
        if self._base is None:
            return None
        if self._base.exists():
            for other in self._base.iterdir():
                if other.name != self._key:
                    shutil.rmtree(other)
        facts = json.dumps([sample, list(features), block_tokens]).encode()
        return self._base / self._key / blake2b(facts, digest_size=16).hexdigest()

    def clear(self) -> None:
        """Delete everything: the harvest is stored."""
        if self._base is not None and self._base.exists():
            shutil.rmtree(self._base)
