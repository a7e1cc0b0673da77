"""The corpus measured again for scoring: every token of the propose and evaluate splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from evaluation.held_out import FeatureText, SplitText
from graphs.run import corpus_spec
from graphs.runs import Run, RunStore
from tools.activations import Subject
from tools.database import Database
from tools.errors import ActivationNotFinite, CorpusChanged, NothingToScore, SubjectChanged
from tools.harvest.firing_table import FiringTable
from tools.harvest.firings import Progress, SampleLayout, lay_out, measure_firings
from tools.harvest.sampling import CorpusSample, Window, sample_corpus
from tools.harvest.store import ExemplarStore

MeasuredSplit = Literal["propose", "evaluate"]
"""Baselines learn from the one and are scored on the other; `test` served the experiments."""

_SPLITS: tuple[MeasuredSplit, ...] = ("propose", "evaluate")


def harvest_of(database: Database, run: Run) -> str:
    """Key of the harvest that the run's exemplars are from.

    Raises:
        NothingToScore: the run has not measured a corpus yet.
    """
    key = RunStore(database).harvest(run)
    if key is None:
        raise NothingToScore(
            f"run {run.name} has not measured its corpus yet; finish it with `saesage resume`."
        )
    return key


def held_out_sample(database: Database, run: Run, subject: Subject) -> CorpusSample:
    """The run's corpus sample, cut anew and checked to be the one that its exemplars are from.

    Raises:
        NothingToScore: the run has not measured a corpus yet.
        SubjectChanged: `subject` is not the model and SAE that the run explained.
        CorpusChanged: the corpus gives other windows now.
        CorpusError: the corpus cannot be read.
    """
    key, store = harvest_of(database, run), ExemplarStore(database)
    if subject.info.fingerprint != store.subject(key):
        raise SubjectChanged(
            f"the features of run {run.name} were explained under another model or SAE than the "
            "one that is there now, so scores would be of something else; bring the old files "
            "back, or start anew with `saesage explain --new`."
        )
    sample = sample_corpus(subject, corpus_spec(run.config.corpus), run.config.seed)
    if sample.fingerprint != store.sample(key):
        raise CorpusChanged(
            f"the corpus changed since run {run.name} began: what is held out now may be text "
            "that its hypotheses came from. Bring the old corpus back (python-stdlib: run the same "
            "Python version), or start anew with `saesage explain --new`."
        )
    return sample


def measure(
    subject: Subject,
    sample: CorpusSample,
    features: Sequence[int],
    progress: Progress | None = None,
) -> MeasuredCorpus:
    """Measure features on every token of the propose and evaluate splits, in one pass.

    Raises:
        FeatureOutOfRange: a feature id is not one of the SAE's latents.
        ActivationNotFinite: the model itself, rather than a feature, gives NaN or an infinity.
    """
    windows = [_windows(sample, split) for split in _SPLITS]
    ordered = replace(sample, windows=tuple(window for part in windows for window in part))
    layout = lay_out(ordered)
    distinct = list(dict.fromkeys(features))
    texts = dict(zip(_SPLITS, _split_texts(subject, layout, windows), strict=True))
    try:
        table = measure_firings(subject, ordered, layout, distinct, progress=progress)
    except ActivationNotFinite as error:
        if error.feature is None:
            raise
        # No feature was left to go on with.
        return MeasuredCorpus(texts, FiringTable(distinct, []), dict.fromkeys(distinct, error))
    return MeasuredCorpus(texts, table, table.failures)


@dataclass(frozen=True, eq=False)
class MeasuredCorpus:
    """Where features fire, kept sparse: most activations are zero."""

    texts: Mapping[MeasuredSplit, SplitText]
    firings: FiringTable
    """Places count through the propose split and then on through the evaluate split."""
    failures: Mapping[int, ActivationNotFinite]
    """Features that could not be measured, and why."""

    def text(self, split: MeasuredSplit) -> SplitText:
        """All windows of a split."""
        return self.texts[split]

    def feature(self, split: MeasuredSplit, feature: int) -> FeatureText:
        """One feature on every token of a split.

        Raises:
            ActivationNotFinite: the feature could not be measured.
        """
        if feature in self.failures:
            raise self.failures[feature]
        text, fired = self.texts[split], self.firings.of(feature)
        begin = 0 if split == "propose" else int(self.texts["propose"].starts[-1])
        n_tokens = int(text.starts[-1])
        first, last = np.searchsorted(fired.places, [begin, begin + n_tokens])
        activations = np.zeros(n_tokens, np.float32)
        activations[fired.places[first:last] - begin] = fired.values[first:last]
        return FeatureText(text, activations)


def _windows(sample: CorpusSample, split: MeasuredSplit) -> list[Window]:
    return [window for window in sample.windows if window.split == split]


def _split_texts(
    subject: Subject, layout: SampleLayout, windows: Sequence[Sequence[Window]]
) -> list[SplitText]:
    """The windows as texts; windows that hold the same token share its surface."""
    distinct = layout.distinct.tolist()
    surfaces = dict(zip(distinct, subject.surfaces(distinct), strict=True))
    return [
        SplitText(
            token_ids=tuple(window.token_ids for window in part),
            tokens=tuple(tuple(map(surfaces.__getitem__, window.token_ids)) for window in part),
        )
        for part in windows
    ]
