"""Texts that were measured once: table `measured_texts`, looked up before a subject is run."""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from tools.database import Database, insert

MEASURED_DDL: tuple[str, ...] = (
    "CREATE TABLE IF NOT EXISTS measured_texts (subject VARCHAR NOT NULL, "
    "feature INTEGER NOT NULL, text_hash UBIGINT NOT NULL, activations BLOB NOT NULL)",
)
"""`subject` is the fingerprint of model and SAE; `text_hash` the first 8 bytes of the text's
blake2b; `activations` packs, little-endian, the number of tokens (uint32), then the places where
the feature fires (uint32 each), then its float32 values there."""

FEATURES_REMEMBERED = 256
"""Features whose texts stay in memory; more are rarely in hand at a time."""

ROWS_TOGETHER = 512
"""Rows that are committed in one transaction. What a kill loses is measured again."""


class MeasuredTexts:
    """One feature's activations on one text each, by content; safe to share between threads."""

    def __init__(self, database: Database) -> None:
        """Read nothing yet from a database that has MEASURED_DDL."""
        self._database = database
        self._known: OrderedDict[tuple[str, int], dict[int, bytes]] = OrderedDict()
        self._held: dict[str, set[int]] = {}
        self._waiting: list[tuple[str, int, int, bytes]] = []
        self._lock = threading.RLock()

    def find(self, subject: str, feature: int, text: str) -> NDArray[np.float32] | None:
        """Activations of `feature` on each token of `text`; None if they are not known.

        Args:
            subject: fingerprint of model and SAE.
            feature: its id.
            text: the text itself.

        Raises:
            DatabaseError: the table cannot be read.
        """
        with self._lock:
            packed = self._of(subject, feature).get(_hash(text))
        return None if packed is None else _unpack(packed)

    def keep(self, subject: str, feature: int, text: str, activations: NDArray[np.float32]) -> None:
        """Remember what was measured, of shape (n_tokens,); committed later, with others.

        Raises:
            DatabaseError: those that were to be committed now could not be.
        """
        with self._lock:
            known, text_hash = self._of(subject, feature), _hash(text)
            if text_hash in known:
                return
            known[text_hash] = _pack(activations)
            self._held[subject].add(feature)
            self._waiting.append((subject, feature, text_hash, known[text_hash]))
            if len(self._waiting) >= ROWS_TOGETHER:
                self._commit()

    def close(self) -> None:
        """Commit what is left.

        Raises:
            DatabaseError: it could not be.
        """
        with self._lock:
            self._commit()

    def _of(self, subject: str, feature: int) -> dict[int, bytes]:
        key = subject, feature
        if key not in self._known:
            # The whole feature at once: the table has no index, and need not be read again.
            self._known[key] = self._read(subject, feature)
            if len(self._known) > FEATURES_REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    def _read(self, subject: str, feature: int) -> dict[int, bytes]:
        if subject not in self._held:
            held = "SELECT DISTINCT feature FROM measured_texts WHERE subject = ?"
            self._held[subject] = {feature for (feature,) in self._database.rows(held, [subject])}
        if feature not in self._held[subject]:
            return {}
        if any(row[:2] == (subject, feature) for row in self._waiting):
            self._commit()
        rows = self._database.rows(
            "SELECT text_hash, activations FROM measured_texts WHERE feature = ? AND subject = ?",
            [feature, subject],
        )
        return dict(rows)

    def _commit(self) -> None:
        rows, self._waiting = self._waiting, []
        if rows:
            with self._database.transaction() as connection:
                insert(connection, "measured_texts", rows)


def _hash(text: str) -> int:
    return int.from_bytes(
        blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"
    )


def _pack(activations: NDArray[np.float32]) -> bytes:
    places = np.flatnonzero(activations)
    header = np.array([len(activations), *places], "<u4")
    return header.tobytes() + activations[places].astype("<f4").tobytes()


def _unpack(packed: bytes) -> NDArray[np.float32]:
    n_firing = (len(packed) // 4 - 1) // 2
    numbers = np.frombuffer(packed, "<u4", n_firing + 1)
    activations = np.zeros(int(numbers[0]), np.float32)
    activations[numbers[1:]] = np.frombuffer(packed, "<f4", offset=4 * (n_firing + 1))
    return activations
