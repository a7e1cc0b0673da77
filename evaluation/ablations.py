"""What parts of the symbolic policy contribute: the policy with one part taken away.

Named in a configuration by import path, such as `policies.design_experiments=
evaluation.ablations:PositivesOnly`. The policy without any experiment is the baseline `untested`.
"""

from __future__ import annotations

from graphs.policies.protocols import Case, Dossier
from graphs.policies.symbolic import SymbolicPolicy
from graphs.records import Design, Trial


class PositivesOnly(SymbolicPolicy):
    """Tests only what hypotheses say will fire: nothing that should stay silent."""

    def design_experiments(self, dossier: Dossier, case: Case, room: int) -> list[Design]:
        """The full policy's designs without the texts that were predicted to be silent."""
        designs = super().design_experiments(dossier, case, room)
        kept = [(design, _positive(design)) for design in designs]
        return [design.model_copy(update={"trials": trials}) for design, trials in kept if trials]


class Unexplored(SymbolicPolicy):
    """Tests hypotheses, but explores nothing: no probes, no sweep of the vocabulary."""

    explores = False


def _positive(design: Design) -> tuple[Trial, ...]:
    return tuple(trial for trial in design.trials if trial.predicted == "active")
