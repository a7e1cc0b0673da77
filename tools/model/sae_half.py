"""An SAE's half of a subject: from what the model gives at its hook point to what fires.

Padding is encoded too, and left out afterwards: in how many rows a product has, which may show in
the last digits, nothing is to be seen then of the lengths of other windows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tools.activations import Fired
from tools.model.encoders import Encoder
from tools.model.not_finite import MeasuredWindows
from tools.model.window_batches import WindowBatches


@dataclass(frozen=True, eq=False)
class SaeHalf:
    """What has to be known of an SAE once the model has run."""

    encoder: Encoder
    batches: WindowBatches
    surfaces: Callable[[Sequence[int]], Sequence[str]]

    def latents(self, hidden: Tensor, keep: Tensor, features: Sequence[int]) -> Tensor:
        """Activations of features on the windows' own tokens.

        Args:
            hidden: see `fired`.
            keep: see `fired`.
            features: ids; the columns of the result.

        Returns:
            Shape (n_kept, n_features), float32.
        """
        behind_bos = self.batches.with_padding(keep)
        latents = self.encoder.encode(hidden, behind_bos, features).float()
        own = keep[behind_bos]
        return latents if bool(own.all()) else latents[own]

    def fired(
        self,
        hidden: Tensor,
        keep: Tensor,
        windows: Sequence[Sequence[int]],
        features: Sequence[int],
    ) -> Fired:
        """What fires on windows.

        Args:
            hidden: shape (n_windows, n_tokens, d_in): at the hook point, BOS and padding included.
            keep: shape (n_windows, n_tokens): which tokens are the windows' own.
            windows: token ids, for messages and for what is left out.
            features: distinct feature ids.

        Raises:
            ActivationNotFinite: the model itself gives NaN or an infinity.
        """
        measured = MeasuredWindows(windows, features, self.surfaces)
        measured.check_hidden(hidden[keep])
        behind_bos = self.batches.with_padding(keep)
        found = self.encoder.fire(hidden, behind_bos, features).of_rows(keep[behind_bos])
        failures = measured.failures(found)
        rows, columns, values = (part.cpu().numpy() for part in found)
        wanted = np.ones(len(rows), np.bool_)
        if failures:
            failed = [column for column, feature in enumerate(features) if feature in failures]
            wanted &= ~np.isin(columns, failed)
        if self.batches.left_out:
            wanted &= ~self.batches.silent(windows)[rows]
        if not wanted.all():
            rows, columns, values = rows[wanted], columns[wanted], values[wanted]
        return Fired(rows, columns, values.astype(np.float32, copy=False), failures)
