"""What a conclusion rests on: observations that exist and came out as it says."""

from __future__ import annotations

from collections.abc import Sequence

from graphs.records import Conclusion, Observation
from tools.errors import EvidenceError


def cited_observations(
    conclusion: Conclusion, observations: Sequence[Observation]
) -> list[Observation]:
    """The observations under the conclusion's claims.

    Raises:
        EvidenceError: a claim cites none, one that does not exist, or one that came out otherwise
            than it says.
    """
    known = {observation.id: observation for observation in observations}
    for claim in conclusion.claims:
        missing = [id for id in claim.observations if id not in known]
        if missing or not claim.observations:
            cited = ", ".join(missing) or "none at all"
            raise EvidenceError(
                f"conclude cites observations that do not exist: {cited} (claim: {claim.text!r})."
            )
        against = [id for id in claim.observations if known[id].outcome != claim.shows]
        if against:
            raise EvidenceError(
                f"conclude claims {claim.text!r}, to be shown by {claim.shows} texts, and cites "
                f"observations that came out otherwise: {', '.join(against)}."
            )
    return [known[id] for claim in conclusion.claims for id in claim.observations]
