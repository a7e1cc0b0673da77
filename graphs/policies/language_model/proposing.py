"""The Explainer: rival hypotheses from what the corpus says, each rule checked by machine."""

from __future__ import annotations

from collections.abc import Sequence

from graphs.policies.language_model.exhibits import exemplar_rows, feature_rows, token_rows
from graphs.policies.language_model.replies import ExplainerReply
from graphs.policies.language_model.rule_check import Contradicted, RuleCheck
from graphs.policies.protocols import MIN_RIVALS, Dossier
from graphs.records import Proposal
from tools.errors import UnusableReply
from tools.llm.data_blocks import data_block, fitting
from tools.llm.language_model import Question
from tools.llm.prompt_files import PromptFile
from tools.rules import CLASSES

ASKED = 5
MOST = 6
_BANDS = {
    "top": 8,
    "quantile_4": 3,
    "quantile_3": 3,
    "quantile_2": 3,
    "quantile_1": 3,
    "near_miss": 6,
    "random": 2,
}
"""Contexts shown of each band: the whole range, and what is measured not to fire."""
_TOKENS = 110
"""Rows of the token table: its long tail tells a common meaning from a list."""
_TABLE = 10_000
"""Characters of the token table."""
_DOUBTFUL = 16
"""Tokens shown with contexts."""


def explainer_question(prompt: PromptFile, dossier: Dossier) -> Question[list[Proposal]]:
    """Ask what the feature might fire on, and what not."""

    def read(reply: ExplainerReply, last: bool) -> list[Proposal]:
        return _rivals(_proposals(reply, RuleCheck(dossier), last=last))

    tokens = token_rows(dossier, _TOKENS, in_context=_DOUBTFUL)
    exemplars = exemplar_rows(dossier.exemplars, dossier, _BANDS, longest=230)
    return Question(
        role="explainer",
        feature=dossier.feature,
        prompt=prompt.fill(
            {
                "feature": data_block("feature", feature_rows(dossier)),
                "tokens": data_block("tokens", fitting(tokens, _TABLE)),
                "exemplars": data_block("exemplars", exemplars),
                "count": str(ASKED),
                "token_classes": ", ".join(CLASSES),
            }
        ),
        reply=ExplainerReply,
        read=read,
    )


def _proposals(reply: ExplainerReply, check: RuleCheck, *, last: bool) -> list[Proposal]:
    made: list[Proposal] = []
    troubles: list[str] = []
    contradictions: list[str] = []
    for guess in reply.hypotheses:
        try:
            made.append(check.proposal(guess.statement, guess.polarity, guess.rule, last=last))
        except Contradicted as contradiction:
            contradictions.append(str(contradiction))
        except UnusableReply as trouble:
            troubles.append(str(trouble))
    if len(made) < MIN_RIVALS:
        # While enough rivals are left, what the corpus refutes is not worth another call.
        troubles += contradictions
    if troubles and not last:
        raise UnusableReply(" ".join(troubles))
    return made


def _rivals(proposals: Sequence[Proposal]) -> list[Proposal]:
    """The first proposals, each said once.

    Raises:
        UnusableReply: too few are left, or none says what fires, or none what does not.
    """
    rivals = _both_kinds(_different(proposals))
    polarities = {rival.polarity for rival in rivals}
    if len(rivals) < MIN_RIVALS or len(polarities) < 2:
        raise UnusableReply(
            f"At least {MIN_RIVALS} different hypotheses are needed, among them some of polarity "
            f"active and at least one of polarity inactive; {len(rivals)} can be used, of "
            f"polarity {' and '.join(sorted(polarities)) or 'none'}."
        )
    return rivals


def _different(proposals: Sequence[Proposal]) -> list[Proposal]:
    """Each of them once; of two that say the same the first, or the one that has a rule."""
    kept: list[Proposal] = []
    for proposal in proposals:
        twin = next((n for n, known in enumerate(kept) if same(proposal, known)), None)
        if twin is None:
            kept.append(proposal)
        elif kept[twin].rule is None:
            kept[twin] = proposal
    return kept


def _both_kinds(found: list[Proposal]) -> list[Proposal]:
    """At most so many as can be tested well; one about silence stays among them."""
    silent = [proposal for proposal in found if proposal.polarity == "inactive"]
    kept = found[:MOST]
    if silent and silent[0] not in kept:
        return [*kept[:-1], silent[0]]
    return kept


def same(one: Proposal, other: Proposal) -> bool:
    """Whether two hypotheses predict the same: by one rule, or in the same words if one has none.

    Words count for nothing where both have rules: those are what is tested.
    """
    if one.polarity != other.polarity:
        return False
    if one.rule is not None and other.rule is not None:
        return one.rule == other.rule
    return _gist(one.statement) == _gist(other.statement)


def _gist(statement: str) -> str:
    """A statement without what two wordings of one thing may differ in."""
    return " ".join(statement.casefold().strip(" .").split())
