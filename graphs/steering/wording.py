"""Edits said in words; light enough for the commands that only read."""

from __future__ import annotations

from graphs.records import Edits


def in_words(edits: Edits) -> list[str]:
    """The edits, one phrase each."""
    return [
        *(f"added: {proposal.statement}" for proposal in edits.add),
        *(f"reworded {r.hypothesis}: {r.proposal.statement}" for r in edits.reword),
        *(f"dropped {id}" for id in edits.drop),
        *(f"test of {e.hypothesis}: {e.text!r} {e.predicted}" for e in edits.experiments),
    ]
