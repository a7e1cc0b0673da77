"""From a baseline's name, or the path of a file of explanations, to the baseline."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from evaluation.baselines.baseline import Baseline
from evaluation.baselines.explanation_file import read_explanations
from evaluation.baselines.max_token import MaxToken
from evaluation.baselines.one_shot import OneShot
from evaluation.baselines.shuffled import Shuffled
from evaluation.baselines.token_tables import BigramTable, UnigramTable
from evaluation.baselines.untested import Untested
from tools.errors import ConfigError

_ALL: tuple[Baseline, ...] = (
    OneShot(),
    Untested(),
    MaxToken(),
    Shuffled(),
    UnigramTable(),
    BigramTable(),
)

BASELINES: Mapping[str, Baseline] = {baseline.name: baseline for baseline in _ALL}
"""Every baseline that needs no file, by name."""

DEFAULT_BASELINES: tuple[str, ...] = tuple(BASELINES)
"""What explanations are compared with unless somebody asks for others: all of them."""


def baselines_named(
    texts: Iterable[str], run: str, features: Collection[int]
) -> dict[str, Baseline]:
    """Baselines by the names that they go by in results, in the order given.

    Raises:
        ConfigError: there is no such baseline, or two files go by the same name.
        ExplanationFileError: a file cannot be read or used.
    """
    found: dict[str, Baseline] = {}
    for text in dict.fromkeys(texts):
        baseline = baseline_named(text, run, features)
        if baseline.name in found:
            raise ConfigError(
                f"two files of explanations would go by the name {baseline.name!r}; rename one."
            )
        found[baseline.name] = baseline
    return found


def baseline_named(text: str, run: str, features: Collection[int]) -> Baseline:
    """A baseline by its name, or the explanations of a file.

    Args:
        text: a name, or a path: it ends in `.jsonl` or holds a separator of folders.
        run: name of the run that is scored.
        features: its features; a file may explain no others.

    Raises:
        ConfigError: there is no such baseline.
        ExplanationFileError: the file cannot be read or used.
    """
    if text.endswith(".jsonl") or "/" in text or "\\" in text:
        return read_explanations(Path(text).expanduser(), run, features)
    if text in BASELINES:
        return BASELINES[text]
    nearest = difflib.get_close_matches(text, BASELINES, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise ConfigError(
        f"there is no baseline {text!r}; {hint}known: {', '.join(BASELINES)}, or a file of "
        "explanations such as mine.jsonl."
    )
