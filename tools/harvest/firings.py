"""Where features fire on a sample: how the pass is cut into blocks, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tools.activations import FiringSource, Subject
from tools.harvest.batch_size import BatchSize
from tools.harvest.blocks import FolderShelf, MemoryShelf, Span
from tools.harvest.corpus_pass import CorpusPass, Progress
from tools.harvest.firing_table import FiringTable
from tools.harvest.layout import SampleLayout, lay_out
from tools.harvest.sampling import CorpusSample

__all__ = ["Progress", "SampleLayout", "lay_out", "measure_firings"]

MEMORY_GIB = 2.0
"""What a harvest may take beside model, SAE and the sample's text."""

_SHARE = 1 / 4
"""Part of the memory that the firings of one block may take while they are sorted."""
_BYTES_PER_FIRING = 48
_FIRINGS_PER_TOKEN = 512
"""More latents than this hardly ever fire on one token."""
BLOCK_TOKENS = 32_768
"""Most tokens per block: more would gain nothing, and lose more in a crash."""

_LEAST_BLOCK_TOKENS = 2_048


def measure_firings(
    subject: Subject | FiringSource,
    sample: CorpusSample,
    layout: SampleLayout,
    features: Sequence[int],
    *,
    folder: Path | None = None,
    batch_tokens: int | None = None,
    block_tokens: int = BLOCK_TOKENS,
    progress: Progress | None = None,
) -> FiringTable:
    """Run every window through the subject once.

    A feature that cannot be measured is left out, and named in the table's `failures`.

    Args:
        subject: the model and SAE.
        sample: the windows.
        layout: of the same sample.
        features: distinct feature ids.
        folder: where blocks are kept; those that it holds already are not measured again, so it
            must belong to this pass. None: everything is kept in memory.
        batch_tokens: tokens per forward pass; None: what is quickest.
        block_tokens: tokens per block, see `tokens_per_block`.
        progress: called after each batch with the tokens done and the tokens in all.

    Raises:
        FeatureOutOfRange: a feature id is not one of the SAE's latents.
        ActivationNotFinite: the model gives NaN or an infinity, or every feature does.
        OutOfMemory: a single window does not fit the memory.
        DatabaseFull: the disk is full.
    """
    shelf = MemoryShelf() if folder is None else FolderShelf(folder)
    size = BatchSize(batch_tokens, len(layout.token_ids))
    spans = spans_of(layout, block_tokens)
    return CorpusPass(subject, sample, layout, features, shelf, size, progress).run(spans)


def tokens_per_block(n_features: int, memory_gib: float) -> int:
    """Tokens per block, so that the firings of one fit a share of `memory_gib`."""
    bytes_per_token = max(1, min(n_features, _FIRINGS_PER_TOKEN)) * _BYTES_PER_FIRING
    fitting = int(memory_gib * 2**30 * _SHARE / bytes_per_token)
    return min(max(fitting, _LEAST_BLOCK_TOKENS), BLOCK_TOKENS)


def spans_of(layout: SampleLayout, block_tokens: int) -> list[Span]:
    """Cut the windows of a sample into spans of about `block_tokens` tokens."""
    n_windows, n_tokens = len(layout.starts) - 1, len(layout.token_ids)
    wanted = np.arange(0, n_tokens, block_tokens)
    firsts = np.unique([*np.searchsorted(layout.starts[:-1], wanted), n_windows])
    return [Span(*pair) for pair in zip(firsts[:-1].tolist(), firsts[1:].tolist(), strict=True)]
