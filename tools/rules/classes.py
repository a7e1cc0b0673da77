"""Token classes: what can be said of a surface without listing it."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from tools.rules import word_lists
from tools.rules.wording import numeral

_OPERATORS = frozenset("=+-*/%<>!&|^~@:")


@dataclass(frozen=True, slots=True)
class TokenClass:
    """A named set of surfaces that is decided by looking at the surface alone."""

    noun: str
    """Plural noun phrase."""
    holds: Callable[[str], bool]
    """Whether a surface belongs to it."""
    broad: bool = False
    """Whether unrelated tokens share it."""
    mass: bool = False
    """Whether it cannot be counted: so many kinds of it."""

    def counted(self, number: int) -> str:
        """So many of them."""
        return f"{numeral(number)} {'kinds of ' if self.mass else ''}{self.noun}"


def fold(surface: str) -> str:
    """A surface without its leading space and case; whitespace is left as it is."""
    return surface if surface.isspace() else surface.lstrip(" ").casefold()


def _is_capitalised(surface: str) -> bool:
    word = surface.lstrip(" ")
    return len(word) > 1 and word.isalpha() and word[0].isupper() and word[1:].islower()


def _starts_capital(surface: str) -> bool:
    return surface.lstrip(" ")[:1].isupper()


def _is_camel(surface: str) -> bool:
    word = surface.lstrip(" ")
    return word.isalnum() and not word.isupper() and any(char.isupper() for char in word[1:])


def _is_capitals(surface: str) -> bool:
    word = surface.lstrip(" ").replace("_", "")
    return len(word) > 1 and word.isalnum() and word.isupper()


def _is_letter(surface: str) -> bool:
    word = surface.lstrip(" ")
    return len(word) == 1 and word.isalpha()


def _is_punctuation(surface: str) -> bool:
    word = surface.strip()
    return bool(word) and all(unicodedata.category(char)[0] in "PS" for char in word)


def _consists_of(letters: frozenset[str]) -> Callable[[str], bool]:
    return lambda surface: bool(surface.strip()) and letters.issuperset(surface.strip())


def _is_indentation(surface: str) -> bool:
    return surface.isspace() and (surface.endswith("  ") or surface.endswith("\t"))


def _is_deep(surface: str) -> bool:
    return surface.isspace() and (surface.endswith(" " * 8) or surface.endswith("\t\t"))


def _starts_word(surface: str) -> bool:
    return len(surface) > 1 and surface[0] == " " and surface[1].isalpha()


def _is_foreign(surface: str) -> bool:
    return any(ord(char) > 127 and char.isalpha() for char in surface)


def _is_long_number(surface: str) -> bool:
    word = surface.strip()
    return len(word) > 1 and word.isdecimal()


def _is_year(surface: str) -> bool:
    word = surface.strip()
    return len(word) == 4 and word.isdecimal() and "1000" <= word < "2100"


def _mixes(surface: str) -> bool:
    word = surface.strip()
    return word.isalnum() and not word.isalpha() and any(char.isalpha() for char in word)


def _is_row(surface: str) -> bool:
    word = surface.strip()
    return len(word) > 1 and len(set(word)) == 1 and _is_punctuation(word)


def _is_written_in(*scripts: str) -> Callable[[str], bool]:
    def holds(surface: str) -> bool:
        word = surface.strip()
        return bool(word) and all(unicodedata.name(char, "").startswith(scripts) for char in word)

    return holds


def _listed(words: frozenset[str]) -> Callable[[str], bool]:
    return lambda surface: fold(surface) in words


CLASSES: dict[str, TokenClass] = {
    "any": TokenClass("tokens of any kind", lambda surface: True, broad=True),
    "word": TokenClass("words", lambda surface: surface.lstrip(" ").isalpha(), broad=True),
    "lower_case": TokenClass(
        "lower-case words", lambda s: s.strip().isalpha() and s.islower(), broad=True
    ),
    "initial_capital": TokenClass("tokens that start with a capital", _starts_capital),
    "capitalised": TokenClass("capitalised words", _is_capitalised),
    "capitals": TokenClass("words in capitals", _is_capitals),
    "camel_case": TokenClass("words with a capital inside", _is_camel),
    "single_letter": TokenClass("single letters", _is_letter),
    "word_start": TokenClass("words after a space", _starts_word, broad=True),
    "word_piece": TokenClass(
        "words or word pieces without a space", lambda s: s[:1].isalpha(), broad=True
    ),
    "code_keyword": TokenClass(
        "keywords of common programming languages",
        lambda surface: surface.strip() in word_lists.CODE_KEYWORDS,
    ),
    "python_keyword": TokenClass(
        "Python keywords", lambda surface: keyword.iskeyword(surface.strip())
    ),
    "function_word": TokenClass(
        "common English function words", _listed(word_lists.FUNCTION_WORDS)
    ),
    "pronoun": TokenClass("pronouns", _listed(word_lists.PRONOUNS)),
    "determiner": TokenClass("articles and determiners", _listed(word_lists.DETERMINERS)),
    "preposition": TokenClass("prepositions", _listed(word_lists.PREPOSITIONS)),
    "conjunction": TokenClass("conjunctions", _listed(word_lists.CONJUNCTIONS)),
    "auxiliary": TokenClass("auxiliary verbs", _listed(word_lists.AUXILIARIES)),
    "question_word": TokenClass("question words", _listed(word_lists.QUESTION_WORDS)),
    "number_word": TokenClass("number words", _listed(word_lists.NUMBER_WORDS)),
    "month": TokenClass("names of months", _listed(word_lists.MONTHS)),
    "weekday": TokenClass("names of weekdays", _listed(word_lists.WEEKDAYS)),
    "has_digit": TokenClass("tokens with a digit", lambda s: any(char.isdigit() for char in s)),
    "number": TokenClass("numbers", lambda surface: surface.strip().isdecimal()),
    "long_number": TokenClass("numbers of two digits or more", _is_long_number),
    "year": TokenClass("years", _is_year),
    "letters_and_digits": TokenClass("tokens that mix letters and digits", _mixes),
    "underscore": TokenClass("tokens with an underscore", lambda surface: "_" in surface),
    "punctuation": TokenClass("punctuation marks", _is_punctuation),
    "operator": TokenClass("operators", _consists_of(_OPERATORS)),
    "open_bracket": TokenClass("opening brackets", lambda s: s.strip()[-1:] in {"(", "[", "{"}),
    "close_bracket": TokenClass("closing brackets", lambda s: s.strip()[:1] in {")", "]", "}"}),
    "quote": TokenClass("quotation marks", _consists_of(frozenset("'\"`‘’“”«»"))),
    "sentence_end": TokenClass("sentence ends", _consists_of(frozenset(".!?"))),
    "repeated_mark": TokenClass("rows of one repeated mark", _is_row),
    "whitespace": TokenClass("whitespace", str.isspace, mass=True),
    "newline": TokenClass("line breaks", lambda surface: "\n" in surface),
    "indentation": TokenClass("indentation", _is_indentation, mass=True),
    "deep_indentation": TokenClass("indentation by eight spaces or more", _is_deep, mass=True),
    "non_ascii_letter": TokenClass("tokens with letters beyond ASCII", _is_foreign),
    "cyrillic": TokenClass("Cyrillic words", _is_written_in("CYRILLIC")),
    "east_asian": TokenClass(
        "Chinese, Japanese or Korean characters",
        _is_written_in("CJK", "HIRAGANA", "KATAKANA", "HANGUL"),
    ),
    "undecodable": TokenClass("pieces of undecodable bytes", lambda surface: "\ufffd" in surface),
}
"""Every class by name, as rules name them in JSON; of two that hold, the later one says more."""
