"""Planted features that one look at their strongest texts does not explain, and their runs.

All of it is computed in no time: explained by the symbolic policy, scored by judge `rule`.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

import saesage
from evaluation import scores
from evaluation.storage import open_scores
from evaluation.truth import Truth
from tests.fakes import DEFAULT_WORDS, FakeSubject, Planted, strength
from tools.database import insert as insert_all
from tools.rules import Windows

Share = Callable[[Sequence[str], int], float]
"""Tokens of a text and a place among them: how strongly the feature fires there, in [0, 1]."""


def graded(**shares: float) -> Share:
    """Fires on words, by their strengths."""
    return lambda tokens, place: shares.get(tokens[place].strip(), 0.0)


def after(word: str, trigger: str) -> Share:
    """Fires on a word right after another one."""
    return lambda tokens, place: float(
        tokens[place].strip() == word and _follows(tokens, place, trigger)
    )


def not_after(word: str, trigger: str) -> Share:
    """Fires on a word unless it stands right after another one."""
    return lambda tokens, place: float(
        tokens[place].strip() == word and not _follows(tokens, place, trigger)
    )


def _follows(tokens: Sequence[str], place: int, trigger: str) -> bool:
    return place > 0 and tokens[place - 1].strip() == trigger


@dataclass(frozen=True)
class Meaning:
    """What a feature means; implements `evaluation.candidate.Predictor`."""

    family: str
    name: str
    share: Share
    largest: float = 8.0

    def predict_windows(self, windows: Windows) -> NDArray[np.float32]:
        """The exact shares."""
        surfaces = windows.spelled(windows.codes)
        borders = [*np.flatnonzero(windows.positions == 0).tolist(), len(surfaces)]
        texts = [surfaces[begin:end] for begin, end in pairwise(borders)]
        return np.array([share for text in texts for share in self.shares(text)], np.float32)

    def shares(self, tokens: Sequence[str]) -> list[float]:
        """The same of one text."""
        return [self.share(tokens, place) for place in range(len(tokens))]

    def fired(self, tokens: Sequence[str]) -> list[float]:
        """Activations on one text, which vary by what stands before."""
        return [
            self.largest * share * (0.6 + 0.4 * strength(tokens, place)) if share else 0.0
            for place, share in enumerate(self.shares(tokens))
        ]


MEANINGS = (
    Meaning("graded", "animals", graded(cat=1.0, dog=0.5, tree=0.25), largest=3.0),
    Meaning("context", "None after is", after("None", "is"), largest=20.0),
    Meaning("context", "Paris after in", after("Paris", "in"), largest=100.0),
    Meaning("exception", "London but not after in", not_after("London", "in")),
    Meaning("exception", "value but not after new", not_after("value", "new"), largest=0.3),
    Meaning("graded", "open and red", graded(open=1.0, red=0.4)),
    Meaning("token", "conditions", graded(**{"if": 1.0, "while": 1.0, "else": 1.0})),
    Meaning("token", "zebra, which is rare", graded(zebra=1.0)),
    Meaning("everywhere", "all tokens alike", lambda tokens, place: 0.8),
    Meaning("nowhere", "nothing", lambda tokens, place: 0.0),
)
NAMED = {meaning.name: feature for feature, meaning in enumerate(MEANINGS)}
DEAD = NAMED["nothing"]
EXPLAINED = [feature for feature in range(len(MEANINGS)) if feature != DEAD]

_PHRASES = (
    *("this is None", "that was None", "and None", "run in Paris", "from Paris", "to Paris"),
    *("in London", "to London", "from London", "two London"),
    *("the new value", "old value", "any value", "one cat", "two dog", "big tree"),
    *("open red house", "open it", "a red house"),
)


class KnownSubject(FakeSubject):
    """A FakeSubject that knows what its features mean."""

    def __init__(self) -> None:
        planted = [Planted(meaning.name, meaning.fired) for meaning in MEANINGS]
        # A language model's texts hold unknown words, which are read character by character.
        super().__init__(planted, (*DEFAULT_WORDS, "zebra"), window_size=200)

    def truth(self, feature: int) -> Truth:
        meaning = MEANINGS[feature]
        return Truth(meaning.family, meaning.name, meaning)


def corpus(n_documents: int = 70) -> str:
    """Texts of random words and of the phrases that the features are about."""
    random = np.random.default_rng(0)
    words = [*DEFAULT_WORDS] * 2
    pool = [*words, *_PHRASES * (len(words) // len(_PHRASES))]
    documents: list[str] = []
    for number in range(n_documents):
        lengths = random.integers(3, 9, size=10).tolist()
        sentences = [" ".join(random.choice(pool, size=length)) + "." for length in lengths]
        rare = "\na zebra." if number % 5 == 0 else ""
        documents.append(f"{number}: " + "\n".join(sentences) + rare)
    return "\n\n\n".join(documents)


def write_run(folder: Path) -> Path:
    """A configuration beside its corpus; its database is to be `run.duckdb` there."""
    (folder / "corpus.txt").write_text(corpus())
    content: dict[str, Any] = {
        "subject": {"factory": "tests.evaluations:KnownSubject"},
        "corpus": {"source": str(folder / "corpus.txt"), "context_size": 33},
        "features": list(range(len(MEANINGS))),
        "budget": {"rounds": 2, "experiments": 40},
        "database": str(folder / "run.duckdb"),
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


LONGEST = 60
"""Seconds that a command may take in a process of its own."""


class Said(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str


# While this is still being imported in the background, a command ends the whole process.
importlib.import_module("tools.subject")


def run_saesage(*arguments: object) -> Said:
    """Run a command to its end, in a terminal of 80 columns."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setenv("COLUMNS", "80")
        patch.setattr(sys, "argv", ["saesage", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            saesage.main()
    said = Said(int(end.value.code or 0), out.getvalue(), err.getvalue())
    assert "Traceback" not in said.out + said.err
    return said


def killed_while_saving(feature_number: int, *arguments: object) -> int:
    """Run a command in a process that kills itself while it stores one feature's scores.

    Args:
        feature_number: which one, counted from 1; it dies before the commit.
        arguments: of the command.

    Returns:
        What the process ended with.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        signal.alarm(LONGEST)
        pytest.MonkeyPatch().setattr(scores, "insert", _deadly(feature_number))
        run_saesage(*arguments)
    finally:
        # Whatever happens, the fork must not go on with the tests.
        os._exit(1)


def _deadly(feature_number: int) -> Callable[..., None]:
    saved = itertools.count(1)

    def insert(connection: Any, table: str, *rest: Any) -> None:
        if table == "scores" and next(saved) == feature_number:
            os.kill(os.getpid(), signal.SIGKILL)
        insert_all(connection, table, *rest)

    return insert


def explained(factory: pytest.TempPathFactory) -> Path:
    """A database with every feature explained, made once in a session: only to be copied."""
    folder = factory.getbasetemp() / "planted"
    if not folder.exists():
        folder.mkdir()
        assert run_saesage("explain", write_run(folder)).code in (0, 1)
    return folder / "run.duckdb"


def evaluated(factory: pytest.TempPathFactory) -> Path:
    """The same with every score that needs no language model."""
    source = explained(factory)
    database = source.with_name("scored.duckdb")
    if not database.exists():
        shutil.copy(source, database)
        said = run_saesage("evaluate", database)
        assert (said.code, said.out) == (0, "")
        assert f"{len(EXPLAINED)} features are scored" in said.err
    return database


def with_features(source: Path, copy: Path, features: Collection[int]) -> Path:
    """A copy whose run has these features only."""
    shutil.copy(source, copy)
    with open_scores(str(copy)) as database, database.transaction() as connection:
        connection.execute(
            "DELETE FROM run_features WHERE NOT list_contains(?, feature)", [list(features)]
        )
    return copy


def query(database: Path, sql: str) -> list[dict[str, Any]]:
    """Rows of a database that nobody holds."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute(sql)
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def score_rows(database: Path) -> list[dict[str, Any]]:
    """Every score, when it was made left out."""
    order = "feature, explainer, metric, judge"
    return query(database, f"SELECT * EXCLUDE (scored_at) FROM scores ORDER BY {order}")


def explanation_rows(database: Path) -> list[dict[str, Any]]:
    """Everything that was scored, when it was made left out."""
    order = "feature, explainer"
    return query(database, f"SELECT * EXCLUDE (made_at) FROM scored_explanations ORDER BY {order}")
