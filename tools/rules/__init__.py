"""The rule language: what a feature fires on, executable over token surfaces.

A `Rule` is a disjunction of branches, each a condition with a strength in [0, 1]. Conditions speak
of the token itself (`TokenIn`, `InClass`, `Affix`), of where it stands (`Before`, `Inside`,
`LineStart`, `FirstTokens`, `Repeated`) or combine others (`AllOf`, `Not`). Every one can be
executed on tokens, written as JSON and said in English. A new kind is one frozen dataclass.
"""

from tools.rules.classes import CLASSES, fold
from tools.rules.condition import Condition, condition_from_json
from tools.rules.context import Before, FirstTokens, LineStart, Repeated
from tools.rules.enclosure import Enclosure, Inside
from tools.rules.logic import AllOf, Not
from tools.rules.rule import Branch, Rule, phrase, pooled, rule_from_json
from tools.rules.surface import Affix, InClass, TokenIn
from tools.rules.windows import Mask, Windows
from tools.rules.wording import count, listing, spelled, visible

__all__ = [
    "CLASSES",
    "Affix",
    "AllOf",
    "Before",
    "Branch",
    "Condition",
    "Enclosure",
    "FirstTokens",
    "Inside",
    "InClass",
    "LineStart",
    "Mask",
    "Not",
    "Repeated",
    "Rule",
    "TokenIn",
    "Windows",
    "condition_from_json",
    "count",
    "fold",
    "listing",
    "phrase",
    "pooled",
    "rule_from_json",
    "spelled",
    "visible",
]
