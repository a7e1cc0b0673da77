"""NaN and infinities: where they came from, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tools.errors import ActivationNotFinite
from tools.model.fired import FiredLatents

_SHOWN = 80
"""Characters of the text that a message quotes."""


@dataclass(frozen=True, slots=True)
class MeasuredWindows:
    """Windows that were run as one batch, to say on which of them something is wrong."""

    windows: Sequence[Sequence[int]]
    features: Sequence[int]
    surfaces: Callable[[Sequence[int]], Sequence[str]]

    def check(self, hidden: Tensor, latents: Tensor) -> None:
        """Refuse what is not finite, from the model or from the SAE.

        Hidden values are checked too: TopK may leave a NaN out of the latents asked for.

        Args:
            hidden: shape (n_tokens, d_in).
            latents: shape (n_tokens, n_features).

        Raises:
            ActivationNotFinite: naming the feature, or the hook point, and the text.
        """
        self.check_hidden(hidden)
        if not bool(torch.isfinite(latents).all()):
            first = (~torch.isfinite(latents)).nonzero()[0]
            raise self._error(int(first[0]), self.features[int(first[1])])

    def check_hidden(self, hidden: Tensor) -> None:
        """Refuse a model that gives NaN or an infinity; see `check`."""
        if not bool(torch.isfinite(hidden).all()):
            row = (~torch.isfinite(hidden).all(dim=1)).nonzero()[0, 0]
            raise self._error(int(row), None)

    def failures(self, found: FiredLatents) -> dict[int, ActivationNotFinite]:
        """The features that are not finite somewhere, each with its first such token."""
        bad = ~torch.isfinite(found.values)
        if not bool(bad.any()):
            return {}
        rows, columns = found.rows[bad].cpu().numpy(), found.columns[bad].cpu().numpy()
        order = np.lexsort((rows, columns))
        distinct, first = np.unique(columns[order], return_index=True)
        named = (
            (self.features[int(column)], column_row)
            for column, column_row in zip(distinct, rows[order][first], strict=True)
        )
        return {feature: self._error(int(row), feature) for feature, row in named}

    def _error(self, row: int, feature: int | None) -> ActivationNotFinite:
        ends = np.cumsum([len(window) for window in self.windows])
        which = int(np.searchsorted(ends, row, side="right"))
        place = "the hook point" if feature is None else f"feature {feature}"
        text = "".join(self.surfaces(self.windows[which]))[:_SHOWN]
        return ActivationNotFinite(
            f"NaN or infinity at {place} on text {which} of the batch ({text!r}); the weights "
            "are damaged, or the dtype is too narrow: use dtype: float32",
            feature,
        )
