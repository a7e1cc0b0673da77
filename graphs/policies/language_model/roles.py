"""SAGE's roles, and what the prompt file of each may have filled in."""

from __future__ import annotations

from collections.abc import Mapping

from tools.llm.prompt_files import Placeholders

ROLES: Mapping[str, Placeholders] = {
    "explainer": Placeholders(
        required=("feature", "tokens", "exemplars"), optional=("count", "token_classes")
    ),
    "designer": Placeholders(
        required=("hypotheses", "tokens", "exemplars", "results", "count"),
        optional=("feature", "active", "inactive"),
    ),
    "analyzer": Placeholders(
        required=("hypotheses", "results"),
        optional=("feature", "tokens", "token_classes", "due", "new", "active", "inactive"),
    ),
    "reviewer": Placeholders(
        required=("hypotheses", "results"), optional=("feature", "tokens", "most_requests")
    ),
}
"""SAGE's roles: each has a file `<role>.md` with these placeholders."""
