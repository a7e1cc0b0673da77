"""Several SAEs on one language model, all of which see every forward pass."""

# pyright: reportMissingTypeStubs=false
# (sae-lens ships no type information.)

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sae_lens import SAE
from torch import Tensor

from tools.activations import Fired
from tools.errors import ActivationNotFinite
from tools.lanes import Lanes
from tools.model.fused_mlp import splits_mlp
from tools.model.hook_points import locate
from tools.model.memory import explain_memory
from tools.model.readers import HookReader, read_together
from tools.model.sources import load_sae, pick_device
from tools.subject import (
    LoadedSubject,
    SubjectSpec,
    load_model_for,
    revision_of,
    settings_of,
)


def load_beside(spec: SubjectSpec, others: Sequence[LoadedSubject]) -> LoadedSubject:
    """Do as `load_subject` does, with the language model of one of `others` where that can be."""
    sae = load_sae(spec.sae, pick_device(spec.device))
    other = next((other for other in others if _can_share(other, spec, sae)), None)
    model = load_model_for(spec, sae) if other is None else (other.model, other.tokenizer)
    return LoadedSubject(spec, *model, sae, settings_of(sae))


def _can_share(other: LoadedSubject, spec: SubjectSpec, sae: SAE[Any]) -> bool:
    """Whether the copy of the model that `other` has gives another SAE what its own would give."""
    named = (spec.model, spec.device, spec.dtype, revision_of(sae))
    theirs = (other.spec.model, other.spec.device, other.spec.dtype, revision_of(other.sae))
    # TransformerLens changes the copy that it is given.
    if named != theirs or not isinstance(other.reader, HookReader):
        return False
    point = locate(other.model, settings_of(sae))
    return point is not None and not any(map(splits_mlp, (point.path, other.reader.path)))


def shared_pass(subject: LoadedSubject) -> Hashable:
    """Equal for subjects that one forward pass over the same windows can serve."""
    shares = isinstance(subject.reader, HookReader)
    return (id(subject.model if shares else subject), subject.half.batches.bos)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """The features that are asked for of one of the subjects."""

    subject: LoadedSubject
    columns: NDArray[np.intp]
    """Their places among all that are asked for."""
    features: list[int]
    """In the SAE's own numbers."""
    first: int
    """What is added to those."""


class SharedModel:
    """A `FiringSource` of several SAEs.

    Their features are counted through: the first of an SAE follows the last of the one before it.
    """

    def __init__(self, subjects: Sequence[LoadedSubject]) -> None:
        """Take subjects whose `shared_pass` is the same."""
        self._subjects = tuple(subjects)
        self._ends = list(accumulate(subject.info.n_features for subject in subjects))

    def surfaces(self, token_ids: Sequence[int]) -> list[str]:
        """See `FiringSource.surfaces`."""
        return self._subjects[0].surfaces(token_ids)

    def firing_windows(self, windows: Sequence[Sequence[int]], features: Sequence[int]) -> Fired:
        """See `FiringSource.firing_windows`.

        Where the model gives NaN or an infinity at some of the hook points, the features that are
        read there are failures.
        """
        asked = list(self._asked(features))
        if not asked or not windows:
            return Fired.nothing()
        first = self._subjects[0]
        ids, keep = first.half.batches.padded(windows)
        with first.turn, torch.inference_mode(), explain_memory(len(windows)):
            readers = [cast(HookReader, each.subject.reader) for each in asked]
            hidden = read_together(readers, ids)
            found = [
                _fired(each, value, keep, windows)
                for each, value in zip(asked, hidden, strict=True)
            ]
        return Fired(
            np.concatenate([fired.rows for fired in found]),
            np.concatenate([fired.columns for fired in found]),
            np.concatenate([fired.values for fired in found]),
            {feature: error for fired in found for feature, error in fired.failures.items()},
        )

    def lanes(self) -> Lanes:
        """See `FiringSource.lanes`."""
        return self._subjects[0].lanes()

    def _asked(self, features: Sequence[int]) -> Iterator[_Asked]:
        numbers = np.asarray(features, np.int64)
        owners = np.searchsorted(self._ends, numbers, side="right")
        for number, subject in enumerate(self._subjects):
            columns = np.flatnonzero(owners == number)
            if not len(columns):
                continue
            first = self._ends[number] - subject.info.n_features
            yield _Asked(subject, columns, (numbers[columns] - first).tolist(), first)


def _fired(asked: _Asked, hidden: Tensor, keep: Tensor, windows: Sequence[Sequence[int]]) -> Fired:
    """What fires of one SAE, in the numbers of all."""
    try:
        found = asked.subject.half.fired(hidden, keep, windows, asked.features)
    except ActivationNotFinite as error:
        return Fired.nothing({asked.first + feature: error for feature in asked.features})
    failures = {asked.first + feature: error for feature, error in found.failures.items()}
    return Fired(found.rows, asked.columns[found.columns], found.values, failures)
