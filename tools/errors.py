"""One exception per cause; every message names the cause and what to do."""

from __future__ import annotations

EXIT_SOME_FAILED = 1
"""Exit code when features failed or stayed undecided, or the surroundings cut a run short."""

EXIT_BAD_INPUT = 2
"""Exit code for bad usage, configuration or input."""

EXIT_INTERRUPTED = 130
"""Exit code when the user stopped a command."""


class SaesageError(Exception):
    """Base of every error that saesage raises on purpose."""

    exit_code: int = EXIT_BAD_INPUT


class ConfigError(SaesageError):
    """The run's configuration is malformed or contradicts itself."""


class PolicyError(SaesageError):
    """A node policy is unknown, does not meet its Protocol, or answered with something unusable."""


class EvidenceError(PolicyError):
    """A policy cited an observation that does not exist or does not support the claim."""


class RuleError(SaesageError):
    """A rule's JSON is malformed or names a kind of condition that does not exist."""


class LanguageModelError(SaesageError):
    """A language model gave no answer that can be used."""

    exit_code = EXIT_SOME_FAILED


class LanguageModelUnusable(LanguageModelError):
    """No call can succeed: key, model name, address or account are wrong."""

    exit_code = EXIT_BAD_INPUT


class CallFailed(LanguageModelError):
    """The server failed to answer one request, however often it was tried."""


class RequestRefused(LanguageModelError):
    """The server refuses this very request: sent again, it would be refused again."""


class UnusableReply(LanguageModelError):
    """A reply has the right shape and says something that cannot be used."""


class MalformedReply(LanguageModelError):
    """No usable reply came to a question, though it was asked again with what was wrong."""


class BudgetSpent(LanguageModelError):
    """A budget of calls, tokens or dollars is used up."""


class SubjectError(SaesageError):
    """The subject (language model and SAE) cannot be used."""


class SubjectNotFound(SubjectError):
    """A model or SAE is neither a local directory nor to be had from its hub."""


class CorruptSubject(SubjectError):
    """A model or SAE lacks a file or a weight, or one of its files cannot be read."""


class DeviceUnavailable(SubjectError):
    """The device asked for is not there or has too little memory."""


class WidthMismatch(SubjectError):
    """The SAE reads activations of another width than the model's hook point gives."""


class UnsupportedHookPoint(SubjectError):
    """The SAE's hook point does not exist in the model."""


class SubjectChanged(SubjectError):
    """The model or SAE is not the one that a run was begun with."""


class FeatureOutOfRange(SubjectError):
    """A feature id is not one of the SAE's latents."""


class TextTooLong(SubjectError):
    """A text has more tokens than the SAE's context."""


class OutOfMemory(SubjectError):
    """A batch of texts does not fit the device's memory."""

    exit_code = EXIT_SOME_FAILED


class EmptyText(SubjectError):
    """A text has no tokens once special tokens are set aside."""


class InvalidText(SubjectError):
    """A text is no valid Unicode, so that no tokenizer can read it."""


class ActivationNotFinite(SubjectError):
    """The model or SAE gave NaN or an infinity: there is nothing to conclude from."""

    exit_code = EXIT_SOME_FAILED

    def __init__(self, message: str, feature: int | None = None) -> None:
        """Keep the feature at fault; None when it is the model itself."""
        super().__init__(message)
        self.feature = feature


class CorpusError(SaesageError):
    """The corpus cannot be read or holds too little text."""


class CorpusNotFound(CorpusError):
    """No file matches the corpus path."""


class CorpusEncodingError(CorpusError):
    """A corpus file is not UTF-8."""


class CorpusTooSmall(CorpusError):
    """The corpus is empty, or has too few documents to split."""


class DatabaseError(SaesageError):
    """The DuckDB file cannot be used."""


class DatabaseInUse(DatabaseError):
    """Another process holds the DuckDB file."""


class DatabaseNotFound(DatabaseError):
    """The DuckDB file does not exist."""


class SchemaVersionError(DatabaseError):
    """The DuckDB file was written by another schema version."""


class ForeignDatabase(DatabaseError):
    """The file is no saesage database."""


class DatabaseFull(DatabaseError):
    """The disk is full; what was committed is kept."""

    exit_code = EXIT_SOME_FAILED


class RunNotFound(DatabaseError):
    """The database holds no such run or feature."""


class HypothesisNotFound(DatabaseError):
    """A feature has no such hypothesis."""


class LivePageError(SaesageError):
    """The live page cannot be served, or a request to it is malformed."""


class PortUnusable(LivePageError):
    """The port is in use, or needs rights that this user lacks."""


class CheckpointNotFound(DatabaseError):
    """A thread has no such checkpoint."""


class SteeringError(SaesageError):
    """What the user wants of an investigation cannot be done; nothing was changed."""


class EditRefused(SteeringError):
    """An edit names what does not exist, cannot be tested, or changes nothing."""


class FeatureBusy(SteeringError):
    """A feature is being explained, or its explanation was interrupted."""


class NothingWaits(SteeringError):
    """A feature does not wait for review."""


class EvaluationError(SaesageError):
    """A run cannot be scored."""


class NothingToScore(EvaluationError):
    """A run holds no explanation, or a database no scores."""


class CorpusChanged(EvaluationError):
    """The corpus no longer gives the windows that a run's hypotheses came from."""


class ExplanationFileError(EvaluationError):
    """A file of explanations has a broken line, or names features that the run does not have."""


class Unscorable(SaesageError):
    """One score cannot be had: it is stored as null, with this as the reason."""
