"""From the configuration's words to a subject that can be measured."""

from __future__ import annotations

from collections.abc import Sequence

from graphs.config import SubjectConfig
from graphs.foreign import foreign_code, imported
from tools.activations import Subject, SubjectInfo
from tools.errors import ConfigError, SubjectError
from tools.shared_model import load_beside
from tools.subject import LoadedSubject, SaeSource, SubjectSpec

KIND = "subject factory"


def open_subject(config: SubjectConfig, beside: Sequence[Subject] = ()) -> Subject:
    """Load model and SAE, or have the factory make what takes their place.

    Args:
        config: which.
        beside: subjects in memory; a language model that one of them has is not loaded again.

    Raises:
        SubjectError: the factory cannot be imported, fails, or gives something that is no
            `Subject`; or model and SAE cannot be loaded: see `load_subject`.
    """
    if config.factory is not None:
        return _made(config.factory)
    if config.model is None or config.sae is None:
        raise ConfigError("the configuration names no subject; give model and sae, or factory.")
    sae = SaeSource(**config.sae.model_dump())
    spec = SubjectSpec(config.model, sae, config.device, config.dtype)
    return load_beside(spec, [each for each in beside if isinstance(each, LoadedSubject)])


def _made(path: str) -> Subject:
    factory = imported(path, KIND, SubjectError)
    with foreign_code(f"{KIND} {path!r} failed", SubjectError):
        subject: object = factory()
        info = getattr(subject, "info", None)
    if isinstance(info, SubjectInfo) and isinstance(subject, Subject):
        return subject
    raise SubjectError(
        f"{KIND} {path!r} gave {repr(subject)[:80]}, which is no Subject: see tools/activations.py "
        "for what it must offer."
    )


class Subjects:
    """Loads each subject once, when it is first wanted."""

    def __init__(self) -> None:
        self._loaded: dict[SubjectConfig, Subject] = {}

    def load(self, config: SubjectConfig) -> Subject:
        """The subject.

        Raises:
            SubjectError: as `open_subject` does.
        """
        if config not in self._loaded:
            self._loaded[config] = open_subject(config)
        return self._loaded[config]
