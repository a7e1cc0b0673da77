"""The rule language: what a feature fires on, executable over token surfaces.

A `Rule` is a disjunction of branches, each a condition with a strength in [0, 1]. Conditions speak
of the token itself (`TokenIn`, `InClass`, `Affix`), of the word that it spells with those before
it (`WordIn`, `WordAffix`), of what came before (`Before`, `WordBefore`), of where it stands
(`Inside`, `LineStart`, `SentenceStart`, `Indented`, `FirstTokens`), of what the text repeats
(`Repeated`, `Recurring`, `Induced`, `Foreseen`), or combine others (`AllOf`, `Not`). All are
causal: they hold or not by the tokens up to this one. Every one can be executed on tokens, written
as JSON and said in English. A new kind is one frozen dataclass.
"""

from tools.rules.classes import CLASSES, fold
from tools.rules.condition import Condition, condition_from_json
from tools.rules.context import Before
from tools.rules.detail import Detail
from tools.rules.enclosure import Enclosure, Inside
from tools.rules.logic import AllOf, Not
from tools.rules.place import FirstTokens, Indented, LineStart, SentenceStart
from tools.rules.repetition import Foreseen, Induced, Recurring, Repeated
from tools.rules.rule import Branch, Rule, rule_from_json
from tools.rules.sentence import pooled
from tools.rules.sets import kind_of, tokens_in_words
from tools.rules.surface import Affix, InClass, TokenIn
from tools.rules.vocabulary import Vocabulary
from tools.rules.windows import Mask, Windows
from tools.rules.wording import count, listing, visible
from tools.rules.words import WordAffix, WordBefore, WordIn

__all__ = [
    "CLASSES",
    "Affix",
    "AllOf",
    "Before",
    "Branch",
    "Condition",
    "Detail",
    "Enclosure",
    "FirstTokens",
    "Foreseen",
    "Inside",
    "InClass",
    "Indented",
    "Induced",
    "LineStart",
    "Mask",
    "Not",
    "Recurring",
    "Repeated",
    "Rule",
    "SentenceStart",
    "TokenIn",
    "Vocabulary",
    "Windows",
    "WordAffix",
    "WordBefore",
    "WordIn",
    "condition_from_json",
    "count",
    "fold",
    "kind_of",
    "listing",
    "pooled",
    "rule_from_json",
    "tokens_in_words",
    "visible",
]
